"""Bytes of one line in, a fact of the contract out.

The types are those of `queuetick.events`. They are read with less strictness than they are written: a field that an
older or a newer daemon does not write costs nothing.
"""

from __future__ import annotations

import enum
import types
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import msgspec

from queuetick.events import EVENTS, CycleReport, Fact, QueueSnapshot, QueueStats

# A naive time could not be compared with the others, so such a line is invalid.
Timestamp: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class Reject(enum.Enum):
    """Why a line says nothing to the board."""

    OTHER = "an event that this version does not know"
    TEXT = "not JSON, such as systemd's own messages in the journal"
    BROKEN = "JSON that is cut off or does not match the contract"
    ECS = "written with [output] profile = ecs"
    OTEL = "written with [output] profile = otel"
    JOURNAL = "wrapped by journalctl -o json"


ELSEWHERE = {
    Reject.ECS: 'these lines are in the profile ecs; queuetick reads plain ones: [output] profile = "plain"',
    Reject.OTEL: 'these lines are in the profile otel; queuetick reads plain ones: [output] profile = "plain"',
    Reject.JOURNAL: "these lines are wrapped by journalctl -o json; queuetick reads them bare: journalctl -o cat",
}
"""What to do about lines that are not plain."""


def is_older(at: float, than: float, now: float) -> bool:
    """Whether a line of the time `at` was written before one of the time `than`.

    A time that the reader's clock has not reached proves nothing: the writer's clock was set back since, or differs.
    """
    return at < than <= now


class Line(msgspec.Struct, gc=False, frozen=True):
    """One line that was read. `at` is its timestamp in seconds since 1970."""

    at: float
    org: str
    """The instance's name; empty where the line has none."""
    level: str
    fact: Fact


_REQUIRED = {
    QueueSnapshot: {"cycle", "queue_id"},
    CycleReport: {"cycle", "outcome"},
}
"""Without these a line of the type cannot be placed."""
_SUBJECT = {"queue_id", "queue_name", "division", "scheduled_at"}
_EXACT = (QueueSnapshot, CycleReport, QueueStats)


@cache
def _lenient(kind: type[msgspec.Struct], *, exact: bool) -> type[msgspec.Struct]:
    """A subclass of `kind` that needs few of its fields.

    A field without a default becomes None where the line lacks it. With `exact` false a text or a code is taken
    whatever its JSON type is, because it is only shown.
    """
    required = _REQUIRED.get(kind, {"queue_id"})
    fields: list[tuple[str, Any, Any]] = []
    for info in msgspec.structs.fields(kind):
        loose = _loosened(info.type, exact=exact or info.name in _SUBJECT)
        if info.name in required:
            fields.append((info.name, loose, msgspec.field(name=info.encode_name)))
        elif info.default_factory is not msgspec.NODEFAULT:
            fields.append(
                (info.name, loose, msgspec.field(default_factory=info.default_factory, name=info.encode_name))
            )
        else:
            default = None if info.default is msgspec.NODEFAULT else info.default
            fields.append((info.name, loose | None, msgspec.field(default=default, name=info.encode_name)))
    if kind.__struct_config__.tag_field:
        level = msgspec.field(default="info", name="level")
        fields += [("timestamp", Timestamp, msgspec.field()), ("org", str, ""), ("said_level", Any, level)]
    config = kind.__struct_config__
    return msgspec.defstruct(
        kind.__name__,
        fields,
        bases=(kind,),
        tag=config.tag,
        tag_field=config.tag_field,
        kw_only=True,
        frozen=config.frozen,
        gc=False,  # lines hold no cycles, and thousands of them are alive at a time
    )


def _loosened(kind: Any, *, exact: bool) -> Any:
    """The type of a field as it is read: without limits, and with structs that need few of their fields."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _loosened(arguments[0], exact=exact)
    if origin in {Union, types.UnionType}:
        parts = [_loosened(part, exact=exact) for part in arguments]
        return Any if Any in parts else Union[tuple(parts)]  # noqa: UP007  # made of values
    if origin in {dict, list}:
        return origin[tuple(_loosened(part, exact=True) for part in arguments)]
    if origin is Literal:
        # A later version may add a value.
        return str if exact else Any
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _lenient(kind, exact=exact)
    return Any if kind in {str, int} and not exact else kind


_LAST_INSTANT = 2.5e11
"""Seconds since 1970, in the year 9892: every time zone can say it."""


def said(text: object) -> str | None:
    """A text that a line may lack, or have as another type."""
    return text if isinstance(text, str) else None


class _Any(msgspec.Struct, gc=False):
    """Any line of the contract, whatever its event."""

    event: str
    timestamp: Timestamp


_line = msgspec.json.Decoder(Union[tuple(_lenient(kind, exact=kind in _EXACT) for kind in EVENTS)])  # noqa: UP007
_any = msgspec.json.Decoder(_Any)
# RecursionError: a line of a thousand "[" is nobody's fault but must not end the watch.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_KNOWN = frozenset(kind.__struct_config__.tag for kind in EVENTS)
_ELSEWHERE = (
    (b'"@timestamp"', Reject.ECS),
    (b'"severityNumber"', Reject.OTEL),
    (b'"SeverityNumber"', Reject.OTEL),
    (b'"severity_number"', Reject.OTEL),
    (b'"__REALTIME_TIMESTAMP"', Reject.JOURNAL),
)


def decode(line: bytes) -> Line | Reject:
    """Read one line, without its newline.

    Whatever precedes the first `{` is passed over: the `<6>` of a line meant for journald, and the date and
    host that `journalctl` puts there without `-o cat`.
    """
    if line[:2] != b'{"':
        start = line.find(b"{")
        if start < 0:
            return Reject.TEXT
        line = line[start:]
    try:
        read: Any = _line.decode(line)
        at = read.timestamp.timestamp()
        level = said(read.said_level) or "info"
        return Line(at, read.org, level, read) if 0 <= at < _LAST_INSTANT else Reject.BROKEN
    except _UNREADABLE:
        return _reject(line)


def _reject(line: bytes) -> Reject:
    try:
        event = _any.decode(line).event
    except _UNREADABLE:
        for mark, reject in _ELSEWHERE:
            if mark in line:
                return reject
        return Reject.BROKEN if line[1:].lstrip()[:1] in {b'"', b"}", b""} else Reject.TEXT
    return Reject.BROKEN if event in _KNOWN else Reject.OTHER
