"""Text for people: as its terminal's encoding shows it, how wide it is, and when it is coloured."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import TextIO

from queuetick.foreign_text import visible


def shown(text: str, encoding: str) -> str:
    """`visible(text)` as a terminal of that encoding shows it: what it lacks is written as an escape."""
    return visible(text).encode(encoding, "backslashreplace").decode(encoding)


def width(text: str) -> int:
    """Cells that `text` takes: two for East Asian wide characters, none for combining and format characters."""
    return sum(
        0
        if unicodedata.combining(c) or unicodedata.category(c) in ("Mn", "Me", "Cf")
        else 1 + (unicodedata.east_asian_width(c) in ("W", "F"))
        for c in text
    )


def pad(text: str, cells: int) -> str:
    """`text` with spaces up to `cells`; longer text stays whole."""
    return text + " " * (cells - width(text))


def coloured(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether to colour: on a terminal that can, unless NO_COLOR says no (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
