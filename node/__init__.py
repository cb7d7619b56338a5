"""The process: configuration, roles, takeover, runtime, wiring, status."""
