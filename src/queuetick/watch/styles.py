"""Styled text of an exact width: the small layer between rich's segments and the rows of a screen."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size
from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console
from rich.segment import Segment
from rich.style import Style

from queuetick.events.thresholds import Severity

Line = list[Segment]
"""One row of the screen, from its left edge."""

# The colours of text are of middle lightness: legible on a dark background, and on a light one too. A test computes
# their contrast. Where a terminal has 16 colours, rich takes the nearest.
PLAIN = Style()
DIM = Style(color="#949494")
BOLD = Style(bold=True)
GOOD = Style(color="#35ab68")
WARN = Style(color="#c98500", bold=True)
CRIT = Style(color="#f56262", bold=True)
UNSURE = Style(color="#c678dd", bold=True)
TREND = Style(color="#3a9fc4")
FAINT = Style(color="#6a6a6a")
"""Of what must not draw the eye: the trend of an idle queue. The only text below a contrast of 4.5."""
HEAD = Style(color="#949494", underline=True)
HEAD_SORTED = Style(bold=True, underline=True)
BADGE_GOOD = Style(color="#000000", bgcolor="#3fae6a")
BADGE_WARN = Style(color="#000000", bgcolor="#e0a000", bold=True)
BADGE_CRIT = Style(color="#ffffff", bgcolor="#b81d24", bold=True)
BADGE_PLAIN = Style(reverse=True)
CURSOR = Style(reverse=True)


JOINER = "\N{ZERO WIDTH JOINER}"

SEVERE = {Severity.WARN: WARN, Severity.CRIT: CRIT}
MARKS = {Severity.WARN: "!", Severity.CRIT: "!!"}
"""Of queues that need a look; the others have a style of the place where they are shown, and no mark."""


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly `width` cells: padded, or cut with an ellipsis.

    A joiner that would join a letter to the padding or to the ellipsis is left out.
    """
    if width <= 0:
        return ""
    text = text.rstrip(JOINER)
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        fitted = set_cell_size(text, width - 1) + "…"
        return fitted if cell_len(fitted) == width else fit(text.replace(JOINER, ""), width)
    return " " * (width - length) + text if right else text + " " * (width - length)


def width_of(line: Iterable[Segment]) -> int:
    return sum(cell_len(segment.text) for segment in line)


def exactly(line: Line, width: int) -> Line:
    """The line cut or padded to `width` cells, so that drawing it overwrites all of the old text."""
    taken: Line = []
    left = width
    for segment in line:
        cells = cell_len(segment.text)
        if cells > left:
            if left:
                taken.append(Segment(fit(segment.text, left), segment.style))
            return taken
        taken.append(segment)
        left -= cells
    if left:
        taken.append(Segment(" " * left, PLAIN))
    return taken


def spread(left: Line, right: Line, width: int) -> Line:
    """Both ends of a line; where they do not both fit, the right one is left out."""
    gap = width - width_of(left) - width_of(right)
    return [*left, Segment(" " * gap, PLAIN), *right] if gap > 0 else left


def ansi(line: Line, color_system: ColorSystem | None, *, no_color: bool = False) -> str:
    """The bytes' text for a terminal; without a colour system plain text."""
    if color_system is None:
        return "".join(segment.text for segment in line)
    return "".join(
        (style.without_color if no_color else style).render(text, color_system=color_system)
        if style
        else text
        for text, style, _ in line
    )


def color_system(console: Console) -> ColorSystem | None:
    """What the terminal can show, as rich found out; None is plain text."""
    name = console.color_system
    return COLOR_SYSTEMS[name] if name else None
