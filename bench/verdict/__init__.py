"""Tables become ratios, intervals and verdicts (pure)."""
