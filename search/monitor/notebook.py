"""The live display in a notebook: drawn in place in the cell that runs the search."""

import io
from typing import Any

from rich.console import Console, RenderableType

WIDTH = 110
CELL = '<pre style="line-height:1.3;font-family:monospace;white-space:pre">{code}</pre>'


class Cell:
    """A part of a cell's output that is drawn anew; made while the cell runs."""

    def __init__(self) -> None:
        from IPython.display import HTML, display  # there is one where there is a cell

        self._html: Any = HTML
        self._handle: Any = display(HTML(""), display_id=True)

    def draw(self, shown: RenderableType) -> None:
        """Draws this in the place of what was there."""
        self._handle.update(self._html(html_of(shown)))


def html_of(shown: RenderableType) -> str:
    """Returns what a terminal would show, as HTML without a style sheet."""
    console = Console(
        file=io.StringIO(),
        width=WIDTH,
        record=True,
        force_jupyter=False,
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    console.print(shown)
    return console.export_html(code_format=CELL, inline_styles=True)
