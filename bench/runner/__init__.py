"""Blocks, shuffled order, one fresh process at a time; a folder from its first row to its last."""
