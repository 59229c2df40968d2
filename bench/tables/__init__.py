"""CSV and JSON in and out: the only place that writes results."""
