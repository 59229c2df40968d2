"""A network of one's own in a fresh process: its step built, timed, counted, held against float64."""
