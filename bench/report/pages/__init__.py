"""Pages of a run and of this repository: written to files, to be shown to others."""
