"""Make a fact fit into lines shorter than PIPE_BUF: lists are split over lines, strings cut, zero media dropped.

Works on the facts themselves, so every profile can render what comes out. A fact that fits is returned as it
is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct, structs

from queuetick.events import MEASUREMENTS, Event, Fact, MediaCounts, MediaStats, QueueSnapshot, QueueStats

LIMIT = 4095 - len("<6>") - len("\n")
"""Bytes of one line's JSON. With a priority and the newline it is the longest line below PIPE_BUF."""
LIST_ROOM = 1024
"""Bytes of a line that are kept for a list that is split, where strings would leave less."""
MOST_PARTS = 99_999
"""Room is kept for numbers of this length in `part` and `parts`."""
ELLIPSIS = "…"

Path = tuple[str | int, ...]
Measure = Callable[[Fact], int]
Value = TypeVar("Value")

_encode = msgspec.json.Encoder(enc_hook=str).encode


def fit(fact: Fact, measure: Measure) -> list[Fact]:
    """The facts to write in place of `fact`, each at most LIMIT bytes by `measure` (the length of its
    rendered JSON).

    A list too long for one line is cut into several: each part has a piece of it, repeats the other fields,
    and has `part` and `parts`. Where several lists are too long together, each part has a piece of one or
    more of them.
    """
    if measure(fact) <= LIMIT:
        return [fact]
    if isinstance(fact, MEASUREMENTS):
        fact = _drop_media(fact, measure)
    elif isinstance(fact, Event):
        return _carry_on(fact, measure)
    return [_cut_strings(fact, measure, LIMIT)]


def _drop_media(snapshot: QueueSnapshot | QueueStats, measure: Measure) -> Fact:
    """Leave out media types until the line fits: all-zero ones first, then the smallest.

    One line per queue stays.
    """
    media: dict[str, MediaCounts | MediaStats] = dict(snapshot.media or {})
    size = measure(snapshot) + len(',"media_omitted":1000')
    for name in sorted(media, key=lambda name: _contacts(media[name])):
        if size <= LIMIT:
            break
        size -= len(_encode({name: media.pop(name)})) - 1
    omitted = len(snapshot.media or {}) - len(media)
    return structs.replace(snapshot, media=media, media_omitted=omitted) if omitted else snapshot


def _contacts(counts: MediaCounts | MediaStats) -> int:
    if isinstance(counts, MediaStats):
        return counts.offered or 0
    return (counts.waiting or 0) + (counts.interacting or 0) + (counts.alerting or 0)


def _carry_on(event: Event, measure: Measure) -> list[Fact]:
    cut: list[Path] = []
    base: Fact = structs.replace(event, part=MOST_PARTS, parts=MOST_PARTS)
    lists = sorted(_lists(event), key=lambda found: -len(_encode(found[1])))
    for path, _ in lists:
        if measure(base) <= LIMIT - LIST_ROOM:
            break
        if not any(path[: len(outer)] == outer for outer in cut):
            cut.append(path)
            base = replace_at(base, path, [])
    if not cut:
        return [_cut_strings(event, measure, LIMIT)]
    base = _cut_strings(base, measure, LIMIT - LIST_ROOM)
    pieces = _pack([(path, value) for path, value in lists if path in cut], LIMIT - measure(base))
    if len(pieces) == 1:  # the list fits after all, now that strings are cut
        return [structs.replace(_filled(base, pieces[0]), part=UNSET, parts=UNSET)]
    return [
        structs.replace(_filled(base, piece), part=number, parts=len(pieces))
        for number, piece in enumerate(pieces, start=1)
    ]


def _filled(fact: Fact, piece: dict[Path, list[Any]]) -> Fact:
    for path, elements in piece.items():
        fact = replace_at(fact, path, elements)
    return fact


def _pack(lists: list[tuple[Path, list[Any]]], room: int) -> list[dict[Path, list[Any]]]:
    """Cut `lists` into pieces whose elements take at most `room` bytes, commas included."""
    pieces: list[dict[Path, list[Any]]] = [{}]
    left = room
    for path, elements in lists:
        for element in elements:
            size = json_size(element) + 1
            if size > room:
                cut = _cut_strings(element, json_size, room - 1)
                element = cut if json_size(cut) < room else ELLIPSIS  # noqa: PLW2901
                size = json_size(element) + 1
            if size > left:
                pieces.append({})
                left = room
            pieces[-1].setdefault(path, []).append(element)
            left -= size
    return pieces


def _cut_strings(value: Value, measure: Callable[[Value], int], goal: int) -> Value:
    """Cut the longest strings until `value` measures at most `goal` bytes.

    Then, as a last resort, the widest mappings.
    """
    for least in (256, 64, 16):
        for path, text in sorted(_strings(value), key=lambda found: -json_size(found[1])):
            excess = measure(value) - goal
            if excess <= 0:
                return value
            size = json_size(text) - 2
            if size > least:
                short = cut_text(text, max(least, size - excess), tail=path[-1:] == ("traceback",))
                value = replace_at(value, path, short)
    while measure(value) > goal:
        widest = max(_mappings(value), key=lambda found: len(_encode(found[1])), default=None)
        if widest is None:
            break
        path, mapping = widest
        value = replace_at(value, path, dict(list(mapping.items())[: len(mapping) // 2]))
    return value


def cut_text(text: str, size: int, *, tail: bool = False) -> str:
    """The start (or the end) of `text`, marked with "…", in at most `size` bytes of JSON (at least the mark
    itself).
    """
    low, high = 0, len(text)
    room = max(0, size - len(ELLIPSIS.encode()))
    while low < high:
        middle = (low + high + 1) // 2
        piece = text[len(text) - middle :] if tail else text[:middle]
        if json_size(piece) - 2 <= room:
            low = middle
        else:
            high = middle - 1
    return ELLIPSIS + text[len(text) - low :] if tail else text[:low] + ELLIPSIS


def json_size(value: Any) -> int:
    """Bytes that `value` takes in a line."""
    return len(escape(_encode(value)))


_RARE = re.compile("[\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]".encode("latin-1"))


def escape(line: bytes) -> bytes:
    """Escape what JSON lets pass but readers stumble over.

    DEL and the C1 controls (U+007F to U+009F): journald holds a message with one of them for binary, and
    `journalctl -o json` then prints an array of numbers. U+0085, U+2028 and U+2029: line ends to JavaScript
    before ES2019 and to Python's `str.splitlines`. msgspec has escaped C0 already.
    """
    if not _has_rare(line):
        return line
    return _RARE.sub(lambda match: b"\\u%04x" % ord(match[0].decode()), line)


def _has_rare(line: bytes) -> bool:
    """Whether the pattern would find something; several times cheaper than the pattern."""
    return (
        b"\x7f" in line
        or (b"\xc2" in line and any(rest[:1] < b"\xa0" for rest in line.split(b"\xc2")[1:]))
        or (
            b"\xe2" in line
            and any(rest[:2] in (b"\x80\xa8", b"\x80\xa9") for rest in line.split(b"\xe2")[1:])
        )
    )


def spell_out(text: str) -> str:
    """`text` with lone surrogates (bytes that were no UTF-8) as \\udcff and the like: UTF-8 cannot encode them."""
    return text.encode(errors="backslashreplace").decode()


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, Struct):
        yield from ((name, getattr(value, name)) for name in value.__struct_fields__)
    elif isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)


def _walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, child in _children(value):
        yield (*path, key), child
        yield from _walk(child, (*path, key))


def _strings(value: Any) -> list[tuple[Path, str]]:
    if isinstance(value, str):
        return [((), value)]
    return [(path, found) for path, found in _walk(value) if isinstance(found, str)]


def _lists(value: Any) -> list[tuple[Path, list[Any]]]:
    return [(path, list(found)) for path, found in _walk(value) if isinstance(found, list | tuple) and found]


def _mappings(value: Any) -> list[tuple[Path, dict[Any, Any]]]:
    return [(path, found) for path, found in _walk(value) if isinstance(found, dict) and found]


def replace_at(value: Value, path: Path, new: Any) -> Value:
    """A copy of `value` (struct, mapping or list, at any depth) with `new` at `path`."""
    if not path:
        return new  # type: ignore[no-any-return]
    key, *rest = path
    copy: Any
    if isinstance(value, Struct):
        child = replace_at(getattr(value, str(key)), tuple(rest), new)
        copy = structs.replace(value, **{str(key): child})
    elif isinstance(value, dict):
        copy = {**value, key: replace_at(value[key], tuple(rest), new)}
    else:
        copy = list(value)  # type: ignore[call-overload]
        copy[key] = replace_at(copy[key], tuple(rest), new)
    return copy  # type: ignore[no-any-return]


def map_strings(value: Value, change: Callable[[str], str], keep: frozenset[str] = frozenset()) -> Value:
    """A copy of `value` with every string changed, mapping keys outside `keep` included."""
    copy: Any = value
    if isinstance(value, str):
        copy = change(value)
    elif isinstance(value, Struct):
        copy = structs.replace(
            value,
            **{
                name: map_strings(child, change, keep)
                for name in value.__struct_fields__
                if (child := getattr(value, name)) is not UNSET
            },
        )
    elif isinstance(value, dict):
        copy = {
            (change(key) if isinstance(key, str) and key not in keep else key): map_strings(
                child, change, keep
            )
            for key, child in value.items()
        }
    elif isinstance(value, list | tuple | set | frozenset):
        copy = [map_strings(child, change, keep) for child in value]
    elif value is not None and value is not UNSET and not isinstance(value, int | float):
        copy = change(str(value))
    return copy  # type: ignore[no-any-return]
