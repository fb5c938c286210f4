"""What the daemon writes is what the table reads. watch imports nothing of the daemon, so a test compares the two."""

from __future__ import annotations

import msgspec
import pytest
from watch_lines import START, stamp

from queuetick.events import EVENTS, Fact
from queuetick.events.examples import EXAMPLES
from queuetick.watch import lines
from queuetick.watch.lines import Reject, decode
from queuetick.watch.state import Board

NOT_SHOWN = {
    "queues.refresh_failed",
    "token.renewed",
    "config.reloaded",
    "config.rejected",
    "config.warning",
    "output.recovered",
    "log.message",
}


def tag(kind: type) -> str:
    return str(msgspec.inspect.type_info(kind).tag)  # type: ignore[attr-defined]


def written(fact: Fact) -> bytes:
    """The fact as a line of its own, null fields included."""
    whole = msgspec.to_builtins(fact) | {"timestamp": stamp(START), "level": "info"}
    return msgspec.json.encode(whole)


def test_every_event_is_shown_or_left_out_on_purpose() -> None:
    """A new event must be decided upon here."""
    read = {tag(kind) for kind in lines.Line.__args__}
    assert {tag(kind) for kind in EVENTS} == read | NOT_SHOWN


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda fact: tag(type(fact)))
def test_the_documented_example_of_every_event_is_read_whole(fact: Fact) -> None:
    """Each field that the table takes has the value that the daemon gave."""
    line = decode(written(fact))
    if tag(type(fact)) in NOT_SHOWN:
        assert line is Reject.OTHER
        return
    assert not isinstance(line, Reject)
    said = msgspec.json.decode(written(fact))
    fields = {field.encode_name for field in msgspec.structs.fields(type(fact))}
    for name, value in msgspec.to_builtins(line).items():
        if name in {"media", "timestamp", "event"}:
            continue
        assert name in fields, f"{name} is not a field of the line"
        wanted = said.get(name)
        if isinstance(value, dict) and isinstance(wanted, dict):
            assert value == {key: wanted[key] for key in value}
        else:
            assert value == wanted
    board = Board()
    board.feed([written(fact)])
    assert board.skipped == 0
