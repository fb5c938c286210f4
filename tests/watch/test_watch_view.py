"""Which rows come first, what a filter lets through, and what counts as a problem."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import pytest
import screens
from hypothesis import given
from hypothesis import strategies as st
from watch_lines import START, completed, line, snapshot

from queuetick.events.thresholds import Severity, Threshold, Thresholds
from queuetick.watch import add_arguments
from queuetick.watch.health import Trouble
from queuetick.watch.sort import Sort
from queuetick.watch.state import Board, Row
from queuetick.watch.view import Group, View, grouped, matching, ordered, status, totals

maybe = st.none() | st.integers(0, 50)
queues = st.lists(
    st.fixed_dictionaries(
        {
            "waiting": maybe,
            "agents_available": maybe,
            "agents_on_queue": maybe,
            "longest_wait_seconds": st.none() | st.floats(0, 1e4),
            "queue_name": st.sampled_from(["Support", "Billing", "support", "Île"]),
            "division": st.sampled_from(["Home", "Retail"]),
            "media": st.none(),
        }
    ),
    max_size=20,
)
AT = START + 1
LIMITS = Thresholds([Threshold(waiting=(10, 30), longest_wait=(600, 6000))])
board_of = partial(screens.board_of, limits=LIMITS)


def board_with(rows: list[dict[str, Any]], missing: int = 0) -> Board:
    board = board_of(*(snapshot(f"q{number}", **row) for number, row in enumerate(rows)))
    board.feed(line("queue.missing", START, queue_id=f"q{number}") for number in range(missing))
    return board


def ids(rows: list[Row]) -> list[str]:
    return [row.queue_id for row in rows]


def shown(board: Board, view: View | None = None, at: float = AT) -> list[Row]:
    view = view or View()
    return ordered(matching(board, view, at), board, view, at)


def target(wait: float, limit: float = 20.0) -> dict[str, Any]:
    """A queue where one call waits `wait` seconds."""
    voice = {"waiting": 1, "longest_wait_seconds": wait, "wait_target_seconds": limit}
    return {
        "waiting": 1,
        "longest_wait_seconds": wait,
        "media": {"voice": voice},
        "over_target": wait > limit,
    }


@given(queues, st.integers(0, 5), st.sampled_from(Sort), st.booleans(), st.integers(0, 25))
def test_the_first_rows_are_the_start_of_the_whole_order(
    rows: list[dict[str, Any]], missing: int, sort: Sort, reverse: bool, limit: int
) -> None:
    """Only the rows on the screen are sorted out; they must be those that a full sort would show."""
    board, view = board_with(rows, missing), View(sort=sort, reverse=reverse)
    found = matching(board, view, AT)
    whole = ordered(found, board, view, AT)
    assert sorted(row.key for row in whole) == sorted(board.rows)
    assert ids(ordered(found, board, view, AT, limit)) == ids(whole)[:limit]
    assert ids(ordered(found[::-1], board, view, AT)) == ids(whole)
    assert ids(shown(board, View(sort=sort, reverse=not reverse))) == ids(whole)[::-1]


@given(queues, st.integers(0, 5))
def test_a_critical_queue_is_never_below_a_warning_and_a_warning_never_below_the_rest(
    rows: list[dict[str, Any]], missing: int
) -> None:
    """Then come queues without fresh numbers, then waiting ones, then the empty ones; within, the longest wait."""

    def rank(row: Row) -> tuple[int, float]:
        latest, severity = row.latest, row.severity
        if latest is None or latest.waiting is None:
            return (2, 0.0)
        wait = -(latest.longest_wait_seconds or 0.0) if latest.waiting else 0.0
        return ({Severity.CRIT: 0, Severity.WARN: 1, Severity.NORMAL: 3, Severity.QUIET: 4}[severity], wait)

    found = [rank(row) for row in shown(board_with(rows, missing))]
    assert [rank for rank, _ in found] == sorted(rank for rank, _ in found)
    for severity in (0, 1, 3):
        waits = [wait for rank, wait in found if rank == severity]
        assert waits == sorted(waits)


@given(queues)
def test_by_longest_wait_never_puts_a_shorter_wait_first(rows: list[dict[str, Any]]) -> None:
    """Unknown counts as no wait."""
    found = shown(board_with(rows), View(sort=Sort.LONGEST))
    waits = [row.latest.longest_wait_seconds or 0.0 for row in found if row.latest]
    assert waits == sorted(waits, reverse=True)


@given(queues)
def test_divisions_have_a_heading_with_the_sums_of_their_rows(rows: list[dict[str, Any]]) -> None:
    """In the order of their first rows."""
    board, view = board_with(rows), View(grouped=True)
    items = grouped(matching(board, view, AT), board, view, AT)
    members = [item for item in items if isinstance(item, Row)]
    assert sorted(ids(members)) == sorted(row.queue_id for row in board.rows.values())
    heads = [item for item in items if isinstance(item, Group)]
    assert len({head.name for head in heads}) == len(heads)
    for head in heads:
        of = [row for row in members if row.division == head.name]
        assert (head.totals.queues, head.totals.waiting) == (
            len(of), sum(row.snapshot.waiting or 0 for row in of if row.snapshot),
        )  # fmt: skip
    first = [row.division for row in shown(board)]
    assert [head.name for head in heads] == list(dict.fromkeys(first))


def test_the_options_take_every_column() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for sort in Sort:
        assert Sort(parser.parse_args(["--sort", sort.value]).sort) is sort


def test_a_stale_row_without_waiting_contacts_is_above_the_fresh_ones() -> None:
    """Its 0 is old news."""
    started = line("daemon.started", START, config={"poll": {"interval": 15}})
    board = board_of(started, snapshot("a", at=START + 100), snapshot("z", at=START))
    rows = shown(board, at=START + 100)
    assert ids(rows) == ["z", "a"]
    found = [status(row, board, START + 100) for row in rows]
    assert [one and one.trouble for one in found] == [Trouble.STALE, None]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("emea SUPPORT", ["11-aa"]),
        ("îLE", ["22-bb"]),
        ("I\u0302le", ["22-bb"]),  # decomposed
        ("retail", ["22-bb"]),
        ("22-b", ["22-bb"]),
        ("home île", []),
        ("  ", ["11-aa", "22-bb", "33-cc"]),
        ("division:Home", ["11-aa", "33-cc"]),
        ("division:Home -test", ["11-aa"]),
        ("-division:home", ["22-bb"]),
        ('division:"retail banking"', ["22-bb"]),
        ("name:support*", ["11-aa"]),
        ("name:*test", ["33-cc"]),
        ("org:apac", ["33-cc"]),
        ("id:22", ["22-bb"]),
        ("-", ["11-aa", "22-bb", "33-cc"]),
        ("division:", ["11-aa", "22-bb", "33-cc"]),
        ('division:"ret', ["22-bb"]),
        ("-emea -île", ["33-cc"]),
        ("18:00", []),
    ],
)
def test_a_filter_is_words_that_all_have_to_hold(words: str, found: list[str]) -> None:
    """In any case; of a field where one is named; not at all after a minus; half typed ones count for nothing."""
    board = board_of(
        snapshot("11-aa", queue_name="Support EMEA", division="Home"),
        snapshot("22-bb", queue_name="Île-de-France", division="Retail Banking"),
        snapshot("33-cc", queue_name="Billing test", division="Home", org="apac"),
    )
    assert sorted(ids(matching(board, View(words=words), AT))) == found


@given(st.text(max_size=30))
def test_any_text_is_a_filter(words: str) -> None:
    """It is parsed at every key."""
    matching(board_of(snapshot()), View(words=words), AT)


def test_problems_are_loud_stale_missing_invalid_and_failed_rows() -> None:
    """A queue where a few wait for a moment is none."""
    board = board_of(
        snapshot("calm", at=START + 900, waiting=1),
        snapshot("loud", at=START + 900, waiting=10),
        snapshot("stale", at=START),
        snapshot("failed", at=START + 900),
        line("batch.failed", START + 901, queue_ids=["failed"], status=503),
        line("queue.missing", START + 901, queue_id="missing"),
    )
    found = matching(board, View(problems=True), START + 901)
    assert sorted(ids(found)) == ["failed", "loud", "missing", "stale"]
    sums = totals(board.rows.values(), board, START + 901)
    assert (sums.waiting, sums.queues_waiting, sums.warnings, sums.critical) == (11, 2, 1, 0)
    assert sums.troubles == {Trouble.FAILED: 1, Trouble.MISSING: 1, Trouble.STALE: 1}


def test_a_mark_is_a_target_or_a_threshold_and_being_busy_is_none() -> None:
    """Nobody free, many waiting: no mark as long as nobody waits longer than the target."""
    busy = target(19.0) | {"waiting": 40, "agents_available": 0, "agents_on_queue": 9}
    cases = [busy, target(21.0), target(61.0), target(21.0) | {"agents_on_queue": 0}]
    board = board_of(*(snapshot(str(n), **case) for n, case in enumerate(cases)), limits=Thresholds())
    grades = [row.severity for row in board.rows.values()]
    assert grades == [Severity.NORMAL, Severity.WARN, Severity.CRIT, Severity.CRIT]
    assert ids(shown(board)) == ["2", "3", "1", "0"]


def test_a_stale_row_says_what_the_daemon_said_about_it() -> None:
    """The most telling cause first."""
    board = board_of(
        line("daemon.started", START, config={"poll": {"interval": 15}}), snapshot(), completed(1, at=START)
    )
    reasons = []
    for news in (
        completed(2, at=START + 99, snapshots=0, deferred=1),
        line("cycle.skipped", START + 100, cycle=3, reason="still running"),
        line("cycle.crashed", START + 100, cycle=3),
        line("rate_limit.paused", START + 100, retry_after_seconds=9),
        line("api.lost", START + 100, reason="refused"),
        line("daemon.stopped", START + 100, reason="SIGTERM"),
    ):
        board.feed([news])
        found = status(board.rows["", "q1"], board, START + 100)
        reasons.append(found.reason if found else "")
    assert reasons == [
        "no snapshot",
        "cycle skipped",
        "cycle crashed",
        "rate limit pause",
        "API lost refused",
        "daemon stopped SIGTERM",
    ]
