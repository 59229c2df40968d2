"""A figure that a notebook shows by itself, whatever its backend is."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

SHOWN_DPI = 110


class Picture(Figure):
    """A matplotlib Figure with its PNG for notebooks; pyplot, and so a line of magic, is not needed."""

    def _repr_png_(self) -> bytes:
        from bench.charts.drawing.style import applied  # which makes pictures

        with applied(), BytesIO() as file:
            self.savefig(file, format="png", dpi=SHOWN_DPI)
            return file.getvalue()
