"""The simulator, and what it shows."""
