"""Hostile input: run folders, pytest-benchmark files and resumes, mutated, and what every command makes of them."""
