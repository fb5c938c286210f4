"""What the daemon writes is what watch reads: the contract's own types, with less strictness."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from screens import scene_of, text
from watch_lines import START, snapshot, stamp

from queuetick.events import Fact
from queuetick.events.examples import EXAMPLES
from queuetick.watch.lines import Line, Reject, decode
from queuetick.watch.state import Board
from queuetick.watch.tail import Printer
from queuetick.watch.view import Pane, View


def tag(kind: type) -> str:
    return str(msgspec.inspect.type_info(kind).tag)  # type: ignore[attr-defined]


def written(fact: Fact, **more: Any) -> bytes:
    """The fact as a line of its own, null fields included."""
    return msgspec.json.encode(
        msgspec.to_builtins(fact) | {"timestamp": stamp(START), "level": "info"} | more
    )


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda fact: tag(type(fact)))
def test_every_field_of_every_event_is_read_as_the_daemon_wrote_it(fact: Fact) -> None:
    """With its own type, org and time."""
    line = decode(written(fact, org="emea"))
    assert isinstance(line, Line) and isinstance(line.fact, type(fact))
    assert (line.at, line.org, line.level) == (START, "emea", "info")
    read = msgspec.to_builtins(line.fact)
    assert {key: read[key] for key in msgspec.to_builtins(fact)} == msgspec.to_builtins(fact)
    board = Board()
    board.feed([written(fact)])
    assert board.skipped == 0


@given(st.sampled_from(EXAMPLES), st.data())
def test_a_line_of_another_version_is_read(fact: Fact, data: st.DataObject) -> None:
    """An older daemon lacks fields, a newer one has more; only what places the line is needed."""
    whole = msgspec.json.decode(written(fact, some_new_field={"a": [1]}))
    needed = {"event", "timestamp", "queue_id", "outcome", "cycle"}
    for name in data.draw(st.sets(st.sampled_from(sorted(whole.keys() - needed)))):
        del whole[name]
    line = decode(msgspec.json.encode(whole))
    assert isinstance(line, Line) and isinstance(line.fact, type(fact))
    board = Board()
    board.feed([msgspec.json.encode(whole)])
    assert board.skipped == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(EXAMPLES), st.data())
def test_a_field_of_any_type_stops_no_viewer(fact: Fact, data: st.DataObject) -> None:
    """A table, a queue in full, and words for it."""
    whole = msgspec.json.decode(written(fact, org="emea"))
    name = data.draw(st.sampled_from(sorted(whole.keys() - {"event", "timestamp"})))
    raw = msgspec.json.encode(whole | {name: data.draw(JSON)})
    scene = scene_of(snapshot(), raw, pane=Pane.EVENTS)
    assert text(scene, 200, 50)
    assert text(replace(scene, view=View(pane=Pane.DETAIL, cursor=next(iter(scene.board.rows)))), 120)
    Printer(io.StringIO(), everything=True).append([raw])


@pytest.mark.parametrize("value", ["503", 503, None, 5.5, ["x"]])
def test_a_code_of_another_type_does_not_cost_the_line(value: object) -> None:
    """It is only shown."""
    lost = {"event": "api.lost", "timestamp": stamp(START), "reason": value, "status": value, "code": value}
    assert isinstance(decode(msgspec.json.encode(lost)), Line)


def test_a_value_that_a_later_version_adds_does_not_cost_the_line() -> None:
    """Such as a new source of a pause."""
    paused = {"event": "rate_limit.paused", "timestamp": stamp(START), "source": "moon", "route": "new"}
    assert isinstance(decode(msgspec.json.encode(paused)), Line)
    report = {"event": "cycle.completed", "timestamp": stamp(START), "cycle": 1, "outcome": "degraded"}
    assert isinstance(decode(msgspec.json.encode(report)), Line)
    assert decode(msgspec.json.encode(report | {"event": "some.future.event"})) is Reject.OTHER
