"""Benchmarks: how long a failover takes, and what else a user could pick. Not in `make test`."""
