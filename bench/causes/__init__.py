"""Why a case takes the time that it takes: its parts, each from a measurement of its own (pure)."""
