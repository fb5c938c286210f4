"""Documents in which one part holds something of another kind."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from typing import Any

JUNK = (None, "x", True, [], {}, -1, [None], [[]])


def _paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _paths(child, (*path, key))


def spoilt(document: Any, *, keep: Collection[str], depth: int) -> list[tuple[tuple[Any, ...], Any]]:
    """Each path of at least `depth` steps that does not end at a key of `keep`, with each thing that is none there.

    Text for text, an empty list, and null for a list or a medium are good answers themselves.
    """
    return [
        (path, junk)
        for path, node in _paths(document)
        if len(path) >= depth and path[-1] not in (*keep, "group")
        for junk in JUNK
        if not (isinstance(node, str) and isinstance(junk, str))
        and not (isinstance(node, list) and junk in ([], None))
        and not (path[-1] == "mediaType" and junk is None)
    ]


def spoil(document: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """A copy of `document` with `junk` at `path`."""
    changed = copy.deepcopy(document)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = junk
    return changed
