"""How a pattern of the configuration meets a queue's name: one rule for selection, thresholds and filters."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def folded(name: str) -> str:
    """`name` as it is compared: NFC, case-folded, and each run of white space one space."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).split())


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in folded(pattern))
    return re.compile("".join(parts), re.DOTALL)


def matches(pattern: str, name: str) -> bool:
    """Whether `pattern` is the whole `name`, or matches it with `*` and `?`; every other character is itself."""
    return folded(pattern) == folded(name) or _compiled(pattern).fullmatch(folded(name)) is not None
