"""Would a GPU pay for a network of one's own: its step measured here, counted, and bounded on every card."""
