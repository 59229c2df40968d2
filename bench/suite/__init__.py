"""The pytest-benchmark suite: the same cases, clock and gate as `run`, in one process."""
