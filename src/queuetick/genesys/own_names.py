"""Names of media types, routing statuses and presences: lower snake case, and one for each of the API's own.

Two of the API's names never share one here: `web-chat` is `web_chat`, and `webChat`, seen after it, is `web_chat_`
with a hash of `webChat`. So no count takes the place of another.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache

_LONGEST = 64
"""Characters; a longer name is cut and gets a hash, so that a line stays short."""

_MOST_NAMES = 4096
"""Names that are remembered; beyond them each new name gets a hash."""


def snake(name: str) -> str:
    """`name` in lower snake case: NOT_RESPONDING, notResponding -> not_responding. Letters of any script stay."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+", "_", name).strip("_").lower() or "unknown"


class OwnNames:
    """The names given so far. A name does not change; the API's `known` names have theirs from the start."""

    def __init__(self, known: dict[str, str]) -> None:
        self._given = dict(known)
        self._taken = {given: name for name, given in known.items()}

    def __call__(self, name: str) -> str:
        """The name for the API's `name`; another one for each."""
        given = self._given.get(name)
        if given is not None:
            return given
        plain = snake(name)
        digest = hashlib.blake2s(name.encode("utf-8", "surrogatepass")).hexdigest()
        hashed, longer = (f"{plain[: _LONGEST - 17]}_{digest[:length]}" for length in (16, 64))
        if len(self._given) >= _MOST_NAMES:
            return longer
        for candidate in (plain, hashed) if len(plain) <= _LONGEST else (hashed,):
            if self._taken.setdefault(candidate, name) == name:
                return self._given.setdefault(name, candidate)
        return self._given.setdefault(name, longer)


def _known(*names: str) -> dict[str, str]:
    return {name: snake(name) for name in names}


KNOWN_MEDIA = _known("voice", "callback", "chat", "email", "message", "video")
KNOWN_STATUSES = _known("IDLE", "INTERACTING", "COMMUNICATING", "NOT_RESPONDING", "OFF_QUEUE")

UNKNOWN_PRESENCE = "unknown"
"""The name of every presence that no mapping has."""

media_name = OwnNames(KNOWN_MEDIA)
status_name = OwnNames(KNOWN_STATUSES)
presence_name = OwnNames({"": UNKNOWN_PRESENCE})
"""The names of this process."""


@lru_cache(maxsize=8)
def presences(mappings: bytes) -> Mapping[str, str]:
    """The name of each of the org's presence ids, from `systemToOrganizationMappings` (facts, 12)."""
    try:
        by_name = json.loads(mappings)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(by_name, dict):
        return {}
    return {
        presence_id.lower(): presence_name(system)
        for system, ids in by_name.items()
        if isinstance(ids, list)
        for presence_id in ids
        if isinstance(presence_id, str)
    }
