"""How a chart looks: its type, colours, axes, rows and words."""
