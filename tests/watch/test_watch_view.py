"""Which rows come first, and what counts as a problem."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from watch_lines import START, completed, line, snapshot

from queuetick.watch.health import Trouble
from queuetick.watch.state import Board, Row
from queuetick.watch.view import Severity, Sort, Thresholds, View, matching, status, totals, worst_first

maybe = st.none() | st.integers(0, 50)
queues = st.lists(
    st.fixed_dictionaries(
        {
            "waiting": maybe,
            "agents_available": maybe,
            "agents_on_queue": maybe,
            "longest_wait_seconds": st.none() | st.floats(0, 1e4),
            "queue_name": st.sampled_from(["Support", "Billing", "support", "Île"]),
        }
    ),
    max_size=20,
)
AT = START + 1


def board_of(*lines: bytes) -> Board:
    board = Board()
    board.feed(lines)
    return board


def board_with(rows: list[dict[str, object]], missing: int = 0) -> Board:
    board = board_of(*(snapshot(f"q{number}", **row) for number, row in enumerate(rows)))
    board.feed(line("queue.missing", START, queue_id=f"q{number}") for number in range(missing))
    return board


def ids(rows: list[Row]) -> list[str]:
    return [row.queue_id for row in rows]


@given(queues, st.integers(0, 5), st.sampled_from(Sort), st.booleans(), st.integers(0, 25))
def test_the_first_rows_are_the_start_of_the_whole_order(
    rows: list[dict[str, object]], missing: int, sort: Sort, reverse: bool, limit: int
) -> None:
    """Only the rows on the screen are sorted out; they must be those that a full sort would show."""
    board, view = board_with(rows, missing), View(sort=sort, reverse=reverse)
    found = matching(board, view, Thresholds(), AT)
    whole = worst_first(found, board, view, AT, len(found))
    assert sorted(ids(whole)) == sorted(board.rows)
    assert ids(worst_first(found, board, view, AT, limit)) == ids(whole)[:limit]
    assert ids(worst_first(found[::-1], board, view, AT, len(found))) == ids(whole)
    other = View(sort=sort, reverse=not reverse)
    assert ids(worst_first(found, board, other, AT, len(found))) == ids(whole)[::-1]


@given(queues, st.integers(0, 5))
def test_worst_first_by_waiting_puts_the_unknown_between_some_and_none(
    rows: list[dict[str, object]], missing: int
) -> None:
    """Not knowing is worse than knowing that nobody waits."""
    board, view = board_with(rows, missing), View()
    ordered = worst_first(matching(board, view, Thresholds(), AT), board, view, AT, 99)

    def rank(row: Row) -> tuple[int, int]:
        latest = row.latest
        if latest is None or latest.waiting is None:
            return (1, 0)
        return (0, -latest.waiting) if latest.waiting else (2, 0)

    assert [rank(row) for row in ordered] == sorted(rank(row) for row in ordered)


@given(queues)
def test_worst_first_by_longest_wait_never_puts_a_shorter_wait_first(rows: list[dict[str, object]]) -> None:
    """Unknown counts as no wait."""
    board, view = board_with(rows), View(sort=Sort.LONGEST)
    ordered = worst_first(matching(board, view, Thresholds(), AT), board, view, AT, 99)
    waits = [row.latest.longest_wait_seconds or 0.0 for row in ordered if row.latest]
    assert waits == sorted(waits, reverse=True)


def test_a_stale_row_without_waiting_contacts_stands_above_the_fresh_ones() -> None:
    """Its 0 is old news."""
    started = line("daemon.started", START, config={"poll": {"interval": 15}})
    board = board_of(started, snapshot("a", at=START + 100), snapshot("z", at=START))
    rows = worst_first(list(board.rows.values()), board, View(), START + 100, 9)
    assert ids(rows) == ["z", "a"]
    assert [row is not None and row.trouble for row in (status(row, board, START + 100) for row in rows)] == [
        Trouble.STALE,
        False,
    ]


def test_every_word_of_the_filter_has_to_occur_in_name_division_or_id() -> None:
    """In any case and order."""
    board = board_of(
        snapshot("11-aa", queue_name="Support EMEA", division="Home"),
        snapshot("22-bb", queue_name="Île-de-France", division="Retail"),
    )
    found = {
        words: ids(matching(board, View(words=words), Thresholds(), AT))
        for words in ("emea SUPPORT", "îLE", "retail", "22-b", "home île", "  ")
    }
    assert found == {
        "emea SUPPORT": ["11-aa"],
        "îLE": ["22-bb"],
        "retail": ["22-bb"],
        "22-b": ["22-bb"],
        "home île": [],
        "  ": ["11-aa", "22-bb"],
    }


def test_problems_are_loud_stale_missing_invalid_and_failed_rows() -> None:
    """A queue where a few wait for a moment is none."""
    board = board_of(
        snapshot("calm", at=START + 900, waiting=1),
        snapshot("loud", at=START + 900, waiting=5),
        snapshot("stale", at=START),
        snapshot("failed", at=START + 900),
        line("batch.failed", START + 901, queue_ids=["failed"], status=503),
        line("queue.missing", START + 901, queue_id="missing"),
    )
    found = matching(board, View(problems=True), Thresholds(), START + 901)
    assert sorted(ids(found)) == ["failed", "loud", "missing", "stale"]
    sums = totals(board, Thresholds(), START + 901)
    assert (sums.waiting, sums.queues_waiting) == (6, 2)
    assert sums.troubles == {Trouble.FAILED: 1, Trouble.MISSING: 1, Trouble.STALE: 1}


def test_a_number_is_coloured_from_its_threshold_on() -> None:
    """Below it is normal, nobody is quiet."""
    grades = Thresholds(5, 20, 60.0, 300.0)
    assert [grades.grade_waiting(n) for n in (None, 0, 1, 4, 5, 19, 20)] == [
        Severity.QUIET,
        Severity.QUIET,
        Severity.NORMAL,
        Severity.NORMAL,
        Severity.WARN,
        Severity.WARN,
        Severity.CRIT,
    ]
    rows = board_of(*(snapshot(str(s), waiting=1, longest_wait_seconds=s) for s in (59.9, 60, 300))).rows
    assert [grades.longest(row) for row in rows.values()] == [Severity.NORMAL, Severity.WARN, Severity.CRIT]


def test_nobody_to_take_a_waiting_contact_is_loud_and_an_empty_queue_is_not() -> None:
    """No idle agent is a warning, no agent on the queue is worse, not knowing is neither."""
    cases = {
        (0, 0, 0): Severity.QUIET,
        (1, 3, 9): Severity.NORMAL,
        (1, 0, 9): Severity.WARN,
        (1, 0, None): Severity.WARN,
        (1, 0, 0): Severity.CRIT,
        (1, None, None): Severity.NORMAL,
    }
    found = {}
    for waiting, available, on_queue in cases:
        board = board_of(snapshot(waiting=waiting, agents_available=available, agents_on_queue=on_queue))
        found[waiting, available, on_queue] = Thresholds().row(board.rows["q1"])
    assert found == cases


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
        found = status(board.rows["q1"], board, START + 100)
        reasons.append(found.reason if found else "")
    assert reasons == [
        "no snapshot",
        "cycle skipped",
        "cycle crashed",
        "rate limit pause",
        "API lost refused",
        "daemon stopped SIGTERM",
    ]
