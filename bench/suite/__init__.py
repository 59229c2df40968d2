"""The loop as pytest-benchmark's benchmarks."""
