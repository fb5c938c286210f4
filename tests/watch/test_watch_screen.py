"""What stands on the screen, at any size."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture import svg
from rich.cells import cell_len
from rich.color import ColorSystem
from screens import NOW, board_of, scene_of, text
from watch_lines import START, completed, line, snapshot, stamp, stream

from queuetick.events.thresholds import Threshold, Thresholds
from queuetick.watch import styles
from queuetick.watch.header import Scene
from queuetick.watch.screen import Screen
from queuetick.watch.sort import Sort
from queuetick.watch.state import Board
from queuetick.watch.terminal import Painter
from queuetick.watch.text import UNKNOWN, clean, count, duration, level
from queuetick.watch.view import Pane, View

DASH = UNKNOWN


def whole(scene: Scene, width: int = 80) -> str:
    return "\n".join(text(scene, width))


def style_of(scene: Scene, words: str, width: int = 110) -> str:
    frame = Screen().frame(scene, width, 24)
    return next(str(part.style) for row in frame for part in row if words in part.text)


BUSY = list(stream(60, 12, start=START))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 220),
    st.integers(1, 60),
    st.builds(
        View,
        sort=st.sampled_from(Sort),
        words=st.sampled_from(["", "emea", "日", "nothing"]),
        problems=st.booleans(),
        offset=st.integers(0, 99),
        typing=st.booleans(),
        pane=st.sampled_from(Pane),
        grouped=st.booleans(),
        move=st.integers(-3, 70),
    ),
    st.integers(0, len(BUSY)),
)
def test_a_frame_has_exactly_the_size_of_the_terminal(width: int, height: int, view: View, read: int) -> None:
    """One cell more would wrap or scroll, one less would leave old characters."""
    scene = Scene(board_of(*BUSY[:read]), view, START + 200, START + 200)
    assert [cell_len(row) for row in text(scene, width, height)] == [width] * height


JOINED = st.text(st.sampled_from("a \u200d\u200c\u0937\u0301\ufe0f\U0001f469\u8acb"), max_size=12)


@given(st.text(max_size=40) | JOINED, st.integers(1, 60))
def test_a_name_of_any_characters_stays_in_its_cell(name: str, width: int) -> None:
    """Names come from an organisation's settings: escapes, line breaks, wide, combining and joining characters."""
    cell = styles.fit(clean(name), width)
    assert cell_len(cell) == width
    assert cell_len(f"{cell} |") == width + 2, "nor does it reach into the next one"
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", cell)


@given(st.none() | st.integers(), st.none() | st.floats(allow_nan=False))
def test_numbers_of_any_size_fit_their_column(number: int | None, seconds: float | None) -> None:
    """Right-aligned columns are six and eight wide."""
    assert len(count(number)) <= 6
    assert len(duration(seconds)) <= 8


def test_not_known_is_a_dash_and_zero_is_zero() -> None:
    """`details` says nothing but waiting and agents available."""
    unknown = dict.fromkeys(("interacting", "alerting", "longest_wait_seconds", "agents_on_queue", "media"))
    row = text(scene_of(snapshot(waiting=7, agents_available=0, **unknown)), 150)[4].split()
    assert row[:10] == ["q1", "7", DASH, DASH, "0", DASH, DASH, DASH, "2", "s"]
    assert re.fullmatch("·+█", row[10]) and row[11] == DASH


def test_a_sum_of_nothing_known_is_a_dash() -> None:
    """In the header and in the heading of a division."""
    gone = [snapshot("b", division="Home"), line("queue.missing", START, queue_id="b")]
    for known, said in (([], f"{DASH} waiting"), ([snapshot("c", division="Home")], "0 waiting")):
        lines = text(scene_of(snapshot(waiting=None, division="Home"), *gone, *known, grouped=True))
        assert lines[1].startswith(f"{said} in 0 queues  1 missing  1 not known")
        assert f"{said}  1 missing  1 not known" in lines[4]


def test_five_lines_have_room_for_a_queue() -> None:
    """The worst one."""
    assert "q1" in text(scene_of(snapshot(waiting=7)), 20, 5)[3]


def test_the_longest_wait_is_hours_minutes_seconds() -> None:
    """Days only when hours no longer fit."""
    said = [duration(s) for s in (0, 83.2, 3600, 359_999, 360_000, None, -5)]
    assert said == ["0:00:00", "0:01:23", "1:00:00", "99:59:59", "4d 04h", DASH, "0:00:00"]


def test_a_trend_scales_from_zero_and_somebody_never_looks_like_nobody() -> None:
    """The lowest step is kept for none at all."""
    assert "".join(level(value, 1000) for value in (None, 0, 1, 500, 1000, 5000)) == "·▁▂▅██"


def test_the_media_split_is_shortened_until_it_fits() -> None:
    """The busiest media first; a plus says that there are more."""
    media = {name: {"waiting": n} for name, n in {"voice": 4, "email": 13, "chat": 0, "callback": 1}.items()}
    scene = scene_of(snapshot(waiting=18, media=media))
    assert "email 13 voice 4 callback 1" in whole(scene, 200)
    assert whole(scene, 110).count("email 13 voice 4 callb") + whole(scene, 110).count("em13 vo4 ca1") == 1
    many = {f"{letter}{letter}": {"waiting": 100} for letter in "abcdef"}
    assert re.search(r"aa100 bb100\+ *$", text(scene_of(snapshot(waiting=600, media=many)), 80)[4])


def test_the_header_tells_the_last_cycle_and_the_budget() -> None:
    """Number, outcome, age, queues, budget, duration, lateness; on 80 columns already."""
    first = text(scene_of(snapshot(), completed(42, snapshots=44, missing=1, outcome="partial")))[0]
    assert first.rstrip() == " PARTIAL  cycle 42 2 s ago 44/45 queues budget 37/300 took 0.8 s late 0.0 s"


def test_without_rate_limit_headers_the_budget_is_the_computed_one() -> None:
    """The headers are reported deprecated."""
    started = line("daemon.started", START, requests_per_minute={"needed": 180.0, "allowed": 300})
    scene = scene_of(started, completed(1, rate_limit=None))
    assert "budget 180/300 a minute" in text(scene)[0]


@pytest.mark.parametrize(("used", "style"), [(239, "none"), (240, "bold #c98500"), (285, "bold #f56262")])
def test_a_budget_near_its_end_is_coloured(used: int, style: str) -> None:
    """From 80 % and from 95 % on."""
    scene = scene_of(completed(1, rate_limit={"allowed": 300, "used": used, "reset_seconds": 1}))
    assert style_of(scene, "budget") == style


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (line("api.lost", START, reason="refused"), "API LOST since 04:00:00Z (0:00:02): refused"),
        (
            line("rate_limit.paused", START, retry_after_seconds=30, source="retry-after"),
            "RATE LIMIT: paused until 04:00:30Z, 0:00:28 left: retry-after",
        ),
        (line("cycle.skipped", START, cycle=7, reason="overrun"), "CYCLE SKIPPED: cycle 7: overrun"),
        (line("cycle.crashed", START, cycle=7), "CYCLE CRASHED: cycle 7"),
        (
            line("interval.stretched", START, **{"from": 15, "to": 20.5, "why": "x"}),
            "INTERVAL STRETCHED to 20.5 s: the budget does not allow a shorter one",
        ),
        (
            line("daemon.stopped", START, reason="SIGTERM"),
            "DAEMON STOPPED since 04:00:00Z (0:00:02): SIGTERM",
        ),
        (b'{"@timestamp":"x","event":{"action":"queue.snapshot"}}', "these lines are in the profile ecs"),
        (b'{"severityNumber":9}', "these lines are in the profile otel"),
        (b'{"__REALTIME_TIMESTAMP":"1"}', "journalctl -o cat"),
    ],
)
def test_what_is_wrong_with_the_daemon_or_the_lines_is_said_above_the_table(said: bytes, shown: str) -> None:
    """In words, with since when or until when."""
    assert shown in text(scene_of(said), 100)[2]


def test_silence_is_said_once_it_is_longer_than_three_intervals() -> None:
    """A table that stands still because nothing comes looks just like one where nothing changes."""
    said = (line("daemon.started", START, config={"poll": {"interval": 15}}), snapshot())
    assert "NO LINES" not in whole(scene_of(*said, now=START + 45))
    assert "NO LINES FOR 0:00:46" in whole(scene_of(*said, now=START + 46))
    assert "INPUT ENDED" in whole(scene_of(*said, now=START + 46, ended=True))
    assert "STALE: the newest line is 0:00:46 old" in whole(scene_of(*said, now=START + 46, printed=True))
    assert text(scene_of(*said, now=START + 45, printed=True))[2].strip() == ""
    assert "1 of 3 lines skipped" in text(scene_of(*said, b"half", printed=True))[2]


def test_the_first_notice_does_not_move_the_table() -> None:
    """Its line is kept free."""
    calm, lost = scene_of(snapshot()), scene_of(snapshot(), line("api.lost", START))
    assert text(calm)[3:5] == text(lost)[3:5]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            [line("queue.missing", START, queue_id="q1", queue_name="VIP")],
            f"{DASH} MISSING 0:00:02 not in the answer",
        ),
        (
            [line("queue.invalid", START, queue_id="q1", reason="no such queue")],
            f"{DASH} INVALID 0:00:02 no such queue",
        ),
        (
            [snapshot(waiting=4), line("batch.failed", START, queue_ids=["q1"], status=503)],
            f"4 {DASH} 3 FAILED 0:00:02 503",
        ),
        (
            [snapshot(waiting=4), snapshot("q2", at=START + 500, cycle=9)],
            f"4 {DASH} 3 STALE 0:08:20 no snapshot",
        ),
    ],
)
def test_a_row_in_trouble_says_which_since_when_and_why(said: list[bytes], shown: str) -> None:
    """Marked with ?, in another colour; the last numbers only where they may still be true."""
    board = board_of(*said)
    now = max(NOW, board.newest_at)
    trouble = next(word for word in shown.split() if word.isupper())
    scene = Scene(board, View(words="q1"), now, now)
    row = " ".join(text(scene)[4].split())
    assert row.startswith("? ") and row.endswith(shown)
    assert style_of(scene, trouble) == "bold #c678dd"


def test_limits_colour_numbers_and_mark_the_row() -> None:
    """The mark tells it without colour too. Nobody free is a dim 0, and no mark."""
    board = board_of(
        snapshot("a", waiting=21, longest_wait_seconds=61, agents_available=0, media=None),
        snapshot("b", waiting=6, media=None),
        snapshot("c", waiting=1, agents_available=0, media=None),
        snapshot("d", waiting=0),
        limits=Thresholds([Threshold(waiting=(5, 20), longest_wait=(60, 300))]),
    )
    scene = Scene(board, View(), NOW, NOW)
    assert [row[:4] for row in text(scene)[4:8]] == ["!! a", "!  b", "   c", "   d"]
    found = [style_of(scene, words) for words in (" 21", " 0:01:01", " 6", "         0")]
    assert found == ["bold #f56262", "bold #c98500", "bold #c98500", "#949494"]


def test_a_filter_is_seen_on_any_width() -> None:
    """Rows that are left out must not be taken for queues that are not there."""
    many = [snapshot(str(n), at=START, waiting=50, media=None, over_target=True) for n in range(30)]
    for width in (40, 80, 120):
        row = text(scene_of(*many, words="5", problems=True), width)[1].rstrip()
        assert row.endswith(" problems only /5 3 of 30")


def test_paused_and_typing_show_what_the_reader_is_doing() -> None:
    """Count of lines that wait; the words so far."""
    assert "PAUSED at 04:00:02Z, 12 lines since" in whole(scene_of(snapshot(), held_back=12))
    assert text(scene_of(snapshot(), words="sup", typing=True))[-1].startswith("filter: sup▏  0 of 1")
    assert "any key goes back" in text(scene_of(snapshot(), pane=Pane.HELP))[-1]


def test_an_empty_table_says_why() -> None:
    """Nothing came, nothing matches, nothing is wrong: three different things."""
    assert "no queue.snapshot line yet" in whole(scene_of())
    assert "no queue matches the filter" in whole(scene_of(snapshot(), words="zzz"))
    assert "no queue has a problem" in whole(scene_of(snapshot(), problems=True))


def test_scrolling_past_the_end_shows_the_last_page() -> None:
    """And the view knows where it is, so that one key up moves."""
    scene = scene_of(*(snapshot(f"{n:02}") for n in range(40)), offset=999)
    rows = text(scene)
    assert (rows[22].split()[0], scene.view.offset) == ("39", 21)
    assert "22-40 of 40" in rows[-1]


def test_skipped_lines_are_counted_in_the_footer() -> None:
    """systemd's own words are no fault, but a stream of them is worth knowing."""
    scene = scene_of(b"Starting queuetick", b'{"half', snapshot(), line("token.renewed", START))
    assert "1 queue  4 lines, 2 skipped" in text(scene, 120)[-1]


class Grid:
    """A terminal just good enough for what the painter sends."""

    def __init__(self) -> None:
        self.rows: dict[int, str] = {}

    def write(self, data: str) -> None:
        data = re.sub(r"\x1b\[\?2026[hl]", "", data)
        for row, drawn in re.findall(r"\x1b\[(\d+);1H((?:(?!\x1b\[\d+;1H).)*)", data, re.DOTALL):
            self.rows[int(row)] = re.sub(r"\x1b\[[\d;]*m", "", drawn)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(BUSY)), st.sampled_from([(80, 24), (60, 10)]), st.booleans()), max_size=6
    )
)
def test_drawing_only_what_changed_ends_in_the_same_screen(
    steps: list[tuple[int, tuple[int, int], bool]],
) -> None:
    """As drawing everything."""
    grid, painter, screen = Grid(), Painter(ColorSystem.EIGHT_BIT), Screen()
    for read, size, quiet in steps:
        scene = Scene(board_of(*BUSY[:read]), View(problems=quiet), START + 170, START + 170)
        frame = screen.frame(scene, *size)
        grid.write(painter.paint(frame, size))
        assert [grid.rows[n + 1] for n in range(size[1])] == [styles.ansi(row, None) for row in frame]


def test_a_frame_that_is_the_same_writes_nothing() -> None:
    """No flicker, and nothing to send over a slow line."""
    painter, scene = Painter(ColorSystem.STANDARD), scene_of(*BUSY, now=START + 170)
    assert painter.paint(Screen().frame(scene, 80, 24), (80, 24))
    assert painter.paint(Screen().frame(scene, 80, 24), (80, 24)) == ""
    later = painter.paint(Screen().frame(replace(scene, now=scene.now + 1), 80, 24), (80, 24))
    assert 0 < len(re.findall(r"\x1b\[\d+;1H", later)) < 5
    painter.forget()
    assert len(re.findall(r"\x1b\[\d+;1H", painter.paint(Screen().frame(scene, 80, 24), (80, 24)))) == 24


def test_no_color_keeps_bold_and_drops_colours() -> None:
    """NO_COLOR is about colour."""
    drawn = Painter(ColorSystem.TRUECOLOR, no_color=True).paint(
        Screen().frame(scene_of(*BUSY), 80, 24), (80, 24)
    )
    codes = {code for codes in re.findall(r"\x1b\[([\d;]*)m", drawn) for code in codes.split(";")}
    assert "1" in codes and not codes & {"31", "32", "33", "35", "36", "41", "42", "43"}


def test_the_picture_is_the_same_for_the_same_lines() -> None:
    """It stands in the README and must not change by itself."""
    assert svg(board_of(*BUSY)) == svg(board_of(*BUSY))
    assert "Billing" in svg(board_of(*BUSY)) and svg(Board()).startswith("<svg")
    assert stamp(START) == "2026-11-24T04:00:00.000Z"
