"""The one clock, its loops, and what the system counts while they run."""
