"""Would a GPU pay for a network of one's own: its step measured on this CPU, counted, and bounded on every card."""
