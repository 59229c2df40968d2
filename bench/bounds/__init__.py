"""What no GPU can beat: published figures of cards and launches, and the least time that they leave (pure)."""
