"""Networks other than the tutorial's, each a function of the batch under @network; no styles."""
