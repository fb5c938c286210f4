"""How a pattern of the configuration meets a queue's name: one rule for selection, thresholds and filters."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=65536)
def folded(name: str) -> str:
    """`name` as it is compared: NFC, case-folded, and each run of white space one space."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).split())


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    first, *rest = ("".join("." if c == "?" else re.escape(c) for c in part) for part in pattern.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    # Atomic groups: the first place where a part matches is enough, so many stars cost no backtracking.
    parts = (f"(?>.*?{part})" for part in middle if part)
    return re.compile(f"{first}{''.join(parts)}.*{last}", re.DOTALL)


def matches(pattern: str, name: str) -> bool:
    """Whether `pattern` is the whole `name`, or matches it with `*` and `?`; every other character is itself."""
    pattern, name = folded(pattern), folded(name)
    return pattern == name or _compiled(pattern).fullmatch(name) is not None


def suggestion(text: str, known: Iterable[str]) -> str | None:
    """Name the known name that is most like `text`, and the first place where they differ; None where none is like it.

    `text` may be a pattern. Example: "did you mean 'Sales'? It lacks the '\\u200b' (U+200B ZERO WIDTH SPACE) at
    character 6 of yours". Upper and lower case do not count as a difference.
    """
    by_folded = {folded(name): name for name in known}
    plain = folded(text.strip("*"))
    near = difflib.get_close_matches(plain, list(by_folded), n=1)
    if not near:
        return None
    found = by_folded[near[0]]
    for tag, a, b, c, d in difflib.SequenceMatcher(None, plain, near[0], autojunk=False).get_opcodes():
        yours, its = _spelled(plain[a:b]), _spelled(near[0][c:d])
        if tag == "replace":
            return f"did you mean {found!r}? It has {its} where yours has {yours}"
        if tag == "delete":
            return f"did you mean {found!r}? It lacks the {yours} at character {a + 1} of yours"
        if tag == "insert":
            return f"did you mean {found!r}? Yours lacks the {its} at character {c + 1}"
    return f"did you mean {found!r}?"


def _spelled(characters: str) -> str:
    """`characters` in quotes, and by name where the eye may not tell them from others."""
    strange = [c for c in characters if not (c.isascii() and c.isprintable())]
    if not strange:
        return repr(characters)
    names = ", ".join(f"U+{ord(c):04X} {unicodedata.name(c, '')}".rstrip() for c in strange)
    return f"{characters!r} ({names})"
