"""The tutorial's training loop, one style a file."""

from implementations._contract import DEVICES, FRAMEWORKS, HEAPS, Implementation, StyleError, Train, implementation
from implementations._find import find_implementations
from implementations._network import import_network, network, read_network, read_networks

__all__ = [
    "DEVICES", "FRAMEWORKS", "HEAPS", "Implementation", "StyleError", "Train", "find_implementations", "implementation",
    "import_network", "network", "read_network", "read_networks",
]  # fmt: skip
