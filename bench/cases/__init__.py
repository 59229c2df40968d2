"""What is measured: a problem, a case, the grid of a preset, and the plan that options become."""
