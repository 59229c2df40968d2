"""This machine: its devices, its variables, its ceilings, and how a clean process is started on it."""
