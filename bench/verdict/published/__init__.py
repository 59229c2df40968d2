"""What others have published of GPUs against CPUs, held against the claim (pure)."""
