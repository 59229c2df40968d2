"""One measurement in one fresh process; it knows no run, no table and no other case."""
