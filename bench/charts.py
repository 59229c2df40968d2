"""Tables to matplotlib Figures; saves nothing."""

from __future__ import annotations
