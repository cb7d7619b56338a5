"""The pair on one machine: a real failover with a checker that reads only the logs."""
