"""The one mask: what no line, no message and no page may show, in every form in which it might."""

from __future__ import annotations

import base64
import re
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any, TypeVar
from urllib.parse import unquote

from msgspec import UNSET, structs

from queuetick.events import EVENTS, MEASUREMENTS, Fact, MediaCounts, QueueSnapshot, QueueStats
from queuetick.lines.length import ELLIPSIS, map_strings, spell_out

SHORTEST = 4
"""Characters of the shortest secret that is masked; shorter ones would blank out ordinary text."""
PASSING = 8
"""Passing secrets (access tokens) that are remembered, the latest ones."""
MASK = "***"
MOST_NAMES = 100_000
"""Names of queues, divisions, media and statuses that are remembered."""

_FIELD_NAMES = frozenset(field.name for event in (*EVENTS, MediaCounts) for field in structs.fields(event))

Value = TypeVar("Value")


class Redaction:
    """The secrets of one process. Every exit passes its text through `mask` before anything is cut.

    Safe to use from several threads: `add` replaces what `mask` reads by one assignment.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lasting: set[str] = set()
        self._passing: deque[str] = deque(maxlen=PASSING)
        self._search: tuple[re.Pattern[str] | None, set[object]] = (None, {UNSET})
        self._adding = threading.Lock()  # a reload and a renewed token: the later pattern must have both
        self.add(secrets)

    def add(self, secrets: Iterable[str], *, passing: bool = False) -> None:
        """Mask `secrets` from now on; of `passing` ones (access tokens) the latest eight."""
        with self._adding:
            for secret in map(spell_out, secrets):
                if len(secret) < SHORTEST or secret in self._lasting or secret in self._passing:
                    continue
                if passing:
                    self._passing.append(secret)
                else:
                    self._lasting.add(secret)
            known = sorted({*self._lasting, *self._passing}, key=lambda secret: (-len(secret), secret))
            forms = [form for secret in known for form in (spelled(secret), *base64_forms(secret))]
            self._search = (re.compile("|".join(forms)) if forms else None, {UNSET})
            re.purge()  # its cache would keep the patterns of the last 500 tokens, 50 KB each

    def mask(self, text: str) -> str:
        """`text` with every form of every secret replaced by three stars, and lone surrogates spelled out.

        A secret that is broken over lines counts too.
        """
        search, _ = self._search
        text = spell_out(text)
        if search is None:
            return text
        text = search.sub(MASK, text)
        return _mask_across_lines(search, text) if _LINE_BREAK.search(text) else text

    def clean(self, value: Value) -> Value:
        """A copy of `value` (struct, mapping, list, string) with every string masked; field names stay."""
        return map_strings(value, self.mask, _FIELD_NAMES)

    def clean_event(self, event: Fact) -> Fact:
        """`event` itself where it holds no secret, else a masked copy.

        Measurements are most events, and repeat the same names: one whose names were all clean before is not searched.
        """
        if not isinstance(event, MEASUREMENTS):
            return self.clean(event)
        _, innocent = self._search  # the set belongs to the pattern that is read here, or to an earlier one
        if innocent.issuperset(names := _names(event)):
            return event
        cleaned = self.clean(event)
        if _names(cleaned) == names:
            if len(innocent) > MOST_NAMES:
                innocent.clear()
            innocent.update(names)
        return cleaned


_NOTHING: dict[str, Any] = {}


def _names(event: Fact) -> tuple[object, ...]:
    """The strings of a measurement that come from outside."""
    if isinstance(event, QueueSnapshot):
        return (
            event.queue_id,
            event.queue_name,
            event.division,
            *(event.media or _NOTHING),
            *(event.agents_by_status or _NOTHING),
            *(event.off_queue_by_presence or _NOTHING),
        )
    assert isinstance(event, QueueStats)  # noqa: S101
    return (event.queue_id, event.queue_name, event.division, *(event.media or _NOTHING))


_LINE_BREAK = re.compile(r"(?<![ \t])[ \t]*+(?:(?:[\r\n]|\\{1,8}[rn])[ \t]*+)+")
"""A line break and the indentation around it, also as JSON and Python literals spell it."""


def _mask_across_lines(search: re.Pattern[str], text: str) -> str:
    """Mask what `search` finds in `text` without its line breaks, and the breaks in it."""
    breaks = [found.span() for found in _LINE_BREAK.finditer(text)]
    lines = [text[end:start] for (_, end), (start, _) in pairwise([(0, 0), *breaks, (len(text), 0)])]
    begins = [0, *accumulate(map(len, lines))]  # where each line begins in the joined text
    ends = [end for _, end in breaks]

    def place(at: int) -> int:
        line = bisect_right(begins, at, hi=len(lines)) - 1
        return at - begins[line] + (ends[line - 1] if line else 0)

    for found in reversed(list(search.finditer("".join(lines)))):
        text = text[: place(found.start())] + MASK + text[place(found.end() - 1) + 1 :]
    return text


_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos", " ": "nbsp"}
_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}


def spelled(secret: str) -> str:
    """A pattern of `secret` as it is and as JSON, URLs, HTML and Python literals spell it, also one in another."""
    return "".join(map(_spelled_character, secret))


@lru_cache(maxsize=1024)
def _spelled_character(char: str) -> str:
    if char.isascii() and char.isalnum():
        return char
    if char == "\\":
        return rf"(?:\\{{1,8}}|{_url(char)}|&#(?:0*92|[xX]0*5[cC]);)"
    code = ord(char)
    units = char.encode("utf-16-be").hex(" ", 2).split()
    forms = [
        r"\\{0,8}" + re.escape(char),
        "".join(rf"\\{{1,8}}u(?i:{unit})" for unit in units),
        rf"\\{{1,8}}(?:x(?i:{code:02x})|U(?i:{code:08x}))",
        _url(char),
        rf"&#(?:0*{code}|[xX]0*(?i:{code:x}));",
    ]
    if char in _ESCAPES:
        forms.append(rf"\\{{1,8}}{_ESCAPES[char]}")
    if char in _ENTITIES:
        forms.append(f"&{_ENTITIES[char]};")
    if char == " ":
        forms.append(r"\+")
    return f"(?:{'|'.join(forms)})"


def _url(char: str) -> str:
    """The octets of `char` as percent-encoding spells them, however often it was applied."""
    return "".join(f"%(?:25){{0,4}}(?i:{octet:02x})" for octet in char.encode())


def base64_forms(secret: str) -> Iterator[str]:
    """Patterns of `secret` as base64 spells it inside a longer text (`id:secret` of HTTP Basic), in both alphabets.

    There are three, one for each place modulo three at which it may start. The characters at its ends that depend
    on the neighbours too are left out.
    """
    octets = secret.encode()
    for before in range(3):
        start, end = (before * 8 + 5) // 6, (before + len(octets)) * 8 // 6
        text = base64.b64encode(bytes(before) + octets).decode()[start:end]
        yield "".join(_BASE64.get(char) or _spelled_character(char) for char in text)


_BASE64 = {
    "+": f"(?:{_spelled_character('+')}|{_spelled_character('-')})",
    "/": f"(?:{_spelled_character('/')}|{_spelled_character('_')})",
}


def shorten(text: str, longest: int) -> str:
    """`text`, or its start and an ellipsis: `longest` characters in all. Only for text that is masked already."""
    return text if len(text) <= longest else text[: longest - 1] + ELLIPSIS


def environment_secrets(environ: Mapping[str, str]) -> list[str]:
    """The secrets that `environ` holds, valid or not: what a message may show before the configuration is read."""
    found = [environ.get("GENESYS_CLIENT_ID", ""), environ.get("GENESYS_CLIENT_SECRET", "")]
    for name, value in environ.items():
        if name.lower().endswith("_proxy") and "@" in value:
            _, _, password = value.rpartition("@")[0].rpartition("://")[2].partition(":")
            found += [password, unquote(password)]
    return list(dict.fromkeys(filter(None, found)))
