"""What we want: pure decisions on closed candles, run in a worker process."""
