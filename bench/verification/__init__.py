"""Whether an answer can be believed: losses and weights against float64, times against a second clock."""
