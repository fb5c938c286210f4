"""Text from outside: how an argument is read, and what of a queue's name a terminal may show."""

from __future__ import annotations

import os
import unicodedata

_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of what steers a terminal, turns the direction of writing, or is not seen at all."""

_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Format characters that Persian, Hindi and emoji need; they change the word they are in and no other."""

_FILLERS = "\u115f\u1160\u3164\uffa0"
"""Letters of Hangul that nobody sees."""


def is_visible(character: str) -> bool:
    """Whether a terminal may show `character`. Joiners, combining marks and variation selectors count as visible."""
    hidden = unicodedata.category(character) in _HIDDEN or character in _FILLERS
    return not hidden or character in _JOINERS


def visible(text: str) -> str:
    """`text` on one line, with U+FFFD for each character that is not `is_visible`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if is_visible(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def argument(text: str) -> str:
    """A name or a pattern of the command line, read as UTF-8 also where the locale is another."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return text
