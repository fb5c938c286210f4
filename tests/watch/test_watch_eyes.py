"""What a reader at night needs: contrast, a badge that is never too good, the worst notice first."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style
from screens import board_of, scene_of, text
from watch_lines import START, completed, line, snapshot, stamp

from queuetick.watch import styles
from queuetick.watch.header import Scene, health_line, notices
from queuetick.watch.screen import Screen
from queuetick.watch.table import trend
from queuetick.watch.text import UNKNOWN
from queuetick.watch.view import Pane, View

DARK, PICTURE, LIGHT = (0, 0, 0), (0x29, 0x29, 0x29), (255, 255, 255)
NAMES = [name for name, style in vars(styles).items() if name.isupper() and isinstance(style, Style)]
TEXT = [name for name in NAMES if styles.__dict__[name].color and not styles.__dict__[name].bgcolor]
BADGES = [name for name in NAMES if styles.__dict__[name].bgcolor]


def luminance(colour: tuple[int, int, int]) -> float:
    """WCAG 2.1, relative luminance."""
    parts = [part / 255 for part in colour]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def rgb(colour: object) -> tuple[int, int, int]:
    return tuple(colour.triplet)  # type: ignore[attr-defined,return-value]


@pytest.mark.parametrize("name", TEXT)
def test_text_has_contrast_on_dark_and_is_legible_on_light(name: str) -> None:
    """4.5:1 on black and on the background of the pictures, all but what is faint on purpose; 2.5:1 on white."""
    colour = rgb(styles.__dict__[name].color)
    if name == "FAINT":
        assert 2 < contrast(colour, DARK) < 4.5
        return
    assert contrast(colour, DARK) >= 4.5 and contrast(colour, PICTURE) >= 4.5
    assert contrast(colour, LIGHT) >= 2.5


@pytest.mark.parametrize("name", BADGES)
def test_a_badge_has_contrast_by_itself(name: str) -> None:
    style = styles.__dict__[name]
    assert contrast(rgb(style.color), rgb(style.bgcolor)) >= 4.5


def test_no_text_depends_on_a_dimming_of_the_terminal() -> None:
    """How dark SGR 2 is nobody can compute."""
    assert not [name for name in NAMES if styles.__dict__[name].dim]


def first(scene: Scene, width: int = 110) -> str:
    return styles.ansi(health_line(scene, width), None)


def test_the_trend_of_an_idle_queue_is_faint() -> None:
    """So that the eye finds the busy ones."""
    board = board_of(snapshot("idle"), snapshot("busy", waiting=3))
    found = {row.queue_id: [part.style for part in trend(row, board, 9)] for row in board.rows.values()}
    assert found == {"idle": [styles.FAINT], "busy": [styles.FAINT, styles.TREND]}


TROUBLES = {
    "API LOST": line("api.lost", START, "error", reason="refused"),
    "STOPPED": line("daemon.stopped", START, reason="SIGTERM"),
    "NO QUEUES": line("queues.none_selected", START, "error", reason="no match"),
    "CRASHED": line("cycle.crashed", START, "error", cycle=2, error="KeyError"),
    "LIMITED": line("rate_limit.paused", START, "warning", retry_after_seconds=60),
    "SKIPPED": line("cycle.skipped", START, "warning", cycle=2, reason="overrun"),
}
CRITICAL = {"API LOST", "STOPPED", "NO QUEUES", "CRASHED", "NO LINES", "STALE", "FAILED"}


@given(
    st.permutations(sorted(TROUBLES)),
    st.integers(0, 6),
    st.sampled_from(["ok", "partial", "failed"]),
    st.booleans(),
)
def test_the_badge_is_ok_only_where_nothing_is_wrong(
    order: list[str], many: int, outcome: str, silent: bool
) -> None:
    """In whatever order troubles come, and a critical one is never below a warning."""
    now = START + (900 if silent else 1)
    board = board_of(
        line("daemon.started", START - 1, config={"poll": {"interval": 15}}),
        completed(1, outcome=outcome),
        *(TROUBLES[name] for name in order[:many]),
    )
    scene = Scene(board, View(), now, now)
    badge = re.match(r" (.*?)  ", first(scene))
    assert badge
    wrong = set(order[:many]) | ({"NO LINES"} if silent and "STOPPED" not in order[:many] else set())
    wrong |= set() if outcome == "ok" else {outcome.upper()}
    assert (badge[1] == "OK") == (not wrong)
    assert not wrong & CRITICAL or badge[1] in CRITICAL
    ranks = [notice.rank for notice in notices(scene)]
    assert ranks == sorted(ranks, reverse=True)


def test_a_cycle_that_is_overdue_is_not_ok() -> None:
    """Lines come, cycles do not."""
    board = board_of(
        line("daemon.started", START, config={"poll": {"interval": 15}}),
        completed(1),
        line("token.renewed", START + 60, reason="expiring"),
    )
    assert first(Scene(board, View(), START + 61, START + 61)).startswith(" NO CYCLE ")


def test_printed_ended_and_replayed_scenes_say_what_they_are() -> None:
    """`--once` of an old file is stale; an input that has ended is not OK."""
    board = board_of(completed(1))
    assert first(Scene(board, View(), START + 1, START + 1)).startswith(" OK ")
    assert first(Scene(board, View(), START + 9000, START, printed=True)).startswith(" STALE ")
    assert first(Scene(board, View(), START + 9000, START, ended=True)).startswith(" ENDED ")
    replay = first(Scene(board, View(), START + 1, START + 1, speed=10.0))
    assert replay.rstrip().endswith("replay x10 04:00:01Z")


def test_of_many_notices_the_worst_are_shown_and_the_others_counted() -> None:
    """Paused, ended and lost snapshots pushed API LOST off."""
    board = board_of(snapshot(), completed(1), *TROUBLES.values())
    scene = Scene(board, View(), START + 1, START + 1, ended=True, held_back=3)
    rows = text(scene, 110)
    shown = [row.strip() for row in rows[2:5]]
    assert all(re.match("DAEMON STOPPED|API LOST|NO QUEUES", row) for row in shown)
    assert shown[2].endswith(f"+{len(notices(scene)) - 3} more")


def test_per_queue_targets_and_statistics_are_columns() -> None:
    """A queue's own target beside its longest wait; today's numbers only where `[stats]` is on."""
    voice = {"waiting": 1, "longest_wait_seconds": 25.0, "wait_target_seconds": 20.0}
    fields = {"waiting": 1, "longest_wait_seconds": 25.0, "media": {"voice": voice}, "over_target": True}
    idle = {"waiting": 0, "media": {"voice": {"waiting": 0, "wait_target_seconds": 90.0}}}
    lines = [snapshot("a", **fields), snapshot("b", **idle)]
    rows = text(scene_of(*lines), 200)
    head = rows[3]
    end = head.index("TARGET") + len("TARGET")
    assert [row[end - 6 : end].strip() for row in rows[4:6]] == ["20s", "1m30s"]
    assert "OFFERED" not in head
    level = {"ratio": 0.4523, "numerator": 90, "denominator": 199, "target": 0.8}
    lines.append(line("queue.stats", START, queue_id="a", offered=205, abandoned=18, service_level=level))
    rows = text(scene_of(*lines), 200)
    assert re.search(r" 205 +18 +45% ", rows[4])


def test_the_target_is_that_of_the_wait_that_decides_the_mark() -> None:
    """An email that waits 18 minutes of its hour is no trouble; a voice call over its 20 s is, and is named."""

    def row(voice: float, target: float | None = 20.0) -> str:
        waits = {"voice": (voice, target), "email": (1080.0, 3600.0 if target else None)}
        media = {
            name: {"waiting": 1, "longest_wait_seconds": wait, "wait_target_seconds": target}
            for name, (wait, target) in waits.items()
        }
        if target is None:
            media["chat"] = {"waiting": 0, "wait_target_seconds": 30.0}
        over = voice > 20 and target is not None
        line_ = snapshot("a", waiting=2, longest_wait_seconds=1080.0, media=media, over_target=over)
        return text(scene_of(line_), 132)[4]

    assert re.match(r"   .* 0:18:00 +1h ", row(voice=5.0))
    assert re.match(r"!  .* 0:18:00 +20s vo ", row(voice=25.0))
    assert re.match(rf"   .* 0:18:00 +{UNKNOWN} ", row(voice=25.0, target=None)), (
        "not the target of chat, where nobody waits"
    )


@pytest.mark.parametrize(("width", "height"), list(itertools.product((20, 80, 120, 200), (1, 2, 8, 24, 60))))
def test_a_queue_in_full_has_the_size_of_the_terminal(width: int, height: int) -> None:
    """However small; also a queue that is missing and has no numbers at all."""
    whole = snapshot("a", waiting=2, off_queue_by_presence={"meal": 1}, scheduled_at=stamp(START))
    gone = line("queue.missing", START, "warning", queue_id="b", queue_name="Gone")
    for key in (("", "a"), ("", "b")):
        scene = scene_of(whole, gone, pane=Pane.DETAIL, cursor=key)
        frame = Screen().frame(scene, width, height)
        assert [styles.width_of(row) for row in frame] == [width] * height


def test_a_queue_in_full_has_its_graph_and_events_on_eighty_by_twenty_four() -> None:
    """Idle media give way to them."""
    busy = {"waiting": 2, "interacting": 1, "alerting": 0}
    busy |= {"longest_wait_seconds": 30.0, "wait_target_seconds": 20.0}
    idle = {"waiting": 0, "interacting": 0, "alerting": 0}
    media = {"voice": busy, "chat": busy, "email": idle, "message": idle, "video": idle}
    lines = [snapshot(waiting=n % 5, cycle=n, at=START - 40 + n, media=media) for n in range(1, 40)]
    lines.append(line("queue.stats", START, queue_id="q1", offered=205))
    shown = "\n".join(text(scene_of(*lines, pane=Pane.DETAIL, cursor=("", "q1"))))
    for words in ("voice", "TODAY", "WAITING, THE LAST", "LAST EVENTS", "q1  "):
        assert words in shown, shown
    assert "video" not in shown


def test_the_help_fits_eighty_columns() -> None:
    """Nothing of it is cut off."""
    assert "…" not in "".join(text(scene_of(snapshot(), pane=Pane.HELP)))


def test_a_queue_that_is_no_longer_polled_closes_its_detail() -> None:
    lines = [snapshot("a"), snapshot("b"), line("queues.refreshed", START, removed_ids=["a"], total=1)]
    scene = scene_of(*lines, pane=Pane.DETAIL, cursor=("", "a"))
    text(scene)
    assert (scene.view.pane, scene.view.cursor) == (Pane.NONE, None)


@given(st.lists(st.integers(-40, 40), max_size=8), st.integers(1, 30), st.booleans(), st.integers(8, 40))
def test_the_cursor_is_always_on_a_row_in_sight(
    moves: list[int], queues: int, grouped: bool, height: int
) -> None:
    """However it is moved, with headings of groups in between."""
    lines = [snapshot(str(n), division=f"D{n % 4}", waiting=n % 3, cycle=1) for n in range(queues)]
    scene, screen = scene_of(*lines, grouped=grouped), Screen()
    screen.frame(scene, 80, height)
    for move in moves:
        scene.view.move += move
        frame = screen.frame(scene, 80, height)
        reverse = [row for row in frame[4:] if any(part.style and part.style.reverse for part in row)]
        assert scene.view.cursor is None or len(reverse) == 1
