"""Other tools, and the tutorial's own text as a script, on the loop that the harness measures."""
