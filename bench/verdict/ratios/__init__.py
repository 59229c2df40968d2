"""Times paired by block, their ratios and intervals, against baselines that have names (pure)."""
