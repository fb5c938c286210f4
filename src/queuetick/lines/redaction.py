"""Strings that must never appear in a line, in every form in which they might."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import quote, quote_plus

import msgspec
from msgspec import UNSET, structs

from queuetick.events import EVENTS, Fact, MediaCounts, QueueSnapshot
from queuetick.lines.length import escape, map_strings, spell_out

SHORTEST = 6
"""Characters of the shortest secret that is looked for; shorter ones would blank out ordinary text."""
PASSING = 8
"""Passing secrets (access tokens) that are remembered, the latest ones."""
MASK = "***"
MOST_NAMES = 100_000
"""Names of queues, divisions, media and statuses that are remembered."""

_FIELD_NAMES = frozenset(field.name for event in (*EVENTS, MediaCounts) for field in structs.fields(event))

Value = TypeVar("Value")

_encode = msgspec.json.Encoder().encode


class Redaction:
    """The secrets in force.

    `found_in` is the cheap test of a line, `clean` the exact work on its fact.
    """

    def __init__(self) -> None:
        self._lasting: set[str] = set()
        self._passing: deque[str] = deque(maxlen=PASSING)
        self._forms: tuple[str, ...] = ()
        self._needles: tuple[bytes, ...] = ()
        self._innocent: set[object] = {UNSET}  # strings of snapshots whose lines were searched, and held none

    def add(self, secrets: Iterable[str], *, passing: bool = False) -> None:
        for secret in map(spell_out, secrets):
            if len(secret) < SHORTEST or secret in self._lasting or secret in self._passing:
                continue
            if passing:
                self._passing.append(secret)
            else:
                self._lasting.add(secret)
        forms: set[str] = set().union(*(spellings(secret) for secret in self._passing))
        forms = forms.union(*(spellings(secret) | base64_spellings(secret) for secret in self._lasting))
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self._needles = tuple(escape(_encode(form))[1:-1] for form in self._forms)
        self._innocent = {UNSET}

    def found_in(self, fact: Fact, line: bytes) -> bool:
        """Whether `line`, which says `fact`, holds a secret.

        Snapshots are most lines, and say the same names each time: a line of names that are known is not searched.
        """
        if type(fact) is not QueueSnapshot:
            return self._found(line)
        innocent = self._innocent  # the very set that belongs to the needles below, or an earlier one
        media, statuses = fact.media or (), fact.agents_by_status or ()
        if (
            fact.queue_id in innocent
            and fact.queue_name in innocent
            and fact.division in innocent
            and innocent.issuperset(media)
            and innocent.issuperset(statuses)
        ):
            return False
        if self._found(line):
            return True
        if len(innocent) > MOST_NAMES:
            innocent.clear()
        innocent.update((fact.queue_id, fact.queue_name, fact.division), media, statuses)
        return False

    def _found(self, line: bytes) -> bool:
        return any(needle in line for needle in self._needles)

    def clean(self, value: Value) -> Value:
        """A copy of `value` with every form of every secret masked; field names stay."""
        return map_strings(value, self._mask, _FIELD_NAMES)

    def _mask(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return text


def spellings(secret: str) -> set[str]:
    """`secret` as it is, and as JSON, a URL and a Python literal spell it."""
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
    }


def base64_spellings(secret: str) -> set[str]:
    """`secret` as base64 spells it inside a longer text (`id:secret` of HTTP Basic), in both alphabets.

    There are three, one for each place modulo three at which it may start. The characters at its ends that depend
    on the neighbours too are left out.
    """
    octets = secret.encode()
    spelled = set()
    for before in range(3):
        start, end = (before * 8 + 5) // 6, (before + len(octets)) * 8 // 6
        spelled.add(base64.b64encode(bytes(before) + octets).decode()[start:end])
    return spelled | {text.replace("+", "-").replace("/", "_") for text in spelled}
