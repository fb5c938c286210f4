"""The words of a filter: `emea support`, `division:EMEA -test`, `name:"VIP *" -org:apac`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from queuetick.names import folded, matches
from queuetick.watch.state import Row

_WORD = re.compile(r'(-?)(?:(name|division|org|id):)?(?:"([^"]*)"?|(\S+))', re.IGNORECASE)
_FIELDS: dict[str, Callable[[Row], str]] = {
    "name": lambda row: row.name,
    "division": lambda row: row.division,
    "org": lambda row: row.org,
    "id": lambda row: row.queue_id,
}


class Word(NamedTuple):
    """One condition: the text occurs in the field, or matches the whole of it where it has a `*` or `?`."""

    unless: bool
    field: str
    """Empty: any of name, division and id."""
    text: str

    def holds(self, row: Row) -> bool:
        if not self.field:
            return (self.text in row.search) is not self.unless
        where = _FIELDS[self.field](row)
        if "*" in self.text or "?" in self.text:
            return matches(self.text, where) is not self.unless
        return (self.text in folded(where)) is not self.unless


@lru_cache(maxsize=8)
def parse(text: str) -> tuple[Word, ...]:
    """The conditions of a filter, which all have to hold. A `-` turns one round; a field without a text is ignored."""
    found = []
    for minus, field, quoted, bare in _WORD.findall(text):
        value = folded(quoted or bare)
        if value and value != "-" and not value.endswith(":"):
            found.append(Word(bool(minus), field.lower(), value))
    return tuple(found)
