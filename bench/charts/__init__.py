"""Tables become matplotlib Figures: the only place that knows matplotlib."""
