"""The board holds what the lines say, whatever order, run or shape they come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from watch_lines import START, completed, line, snapshot, stamp, stream

from queuetick.watch.health import Trouble
from queuetick.watch.lines import Line, Reject, decode
from queuetick.watch.state import STALE_UNLEARNED, TREND_CYCLES, Board

QUEUES = ("a", "b", "c")


def board_of(*lines: bytes) -> Board:
    board = Board()
    board.feed(lines)
    return board


@given(st.lists(st.tuples(st.sampled_from(QUEUES), st.integers(0, 50), st.integers(0, 99)), max_size=30))
def test_the_newest_line_of_a_queue_wins_in_whatever_order_they_come(
    said: list[tuple[str, int, int]],
) -> None:
    """Of two lines written at the same time the later one."""
    board = board_of(*(snapshot(q, at=START + t, cycle=t + 1, waiting=w) for q, t, w in said))
    expected: dict[str, tuple[int, int]] = {}
    for queue, at, waiting in said:
        if queue not in expected or at >= expected[queue][0]:
            expected[queue] = (at, waiting)
    shown = {queue: row.snapshot.waiting for queue, row in board.rows.items() if row.snapshot}
    assert {queue: waiting for queue, (_, waiting) in expected.items()} == shown


@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([snapshot(), completed(), b'{"event":"queue.snapshot"}'])
    )
)
def test_no_bytes_stop_the_board_and_every_line_is_counted(lines: list[bytes]) -> None:
    """A line is read, or counted under the reason why not."""
    board = board_of(*lines)
    assert len(lines) == board.lines_read
    assert lines.count(snapshot()) + lines.count(completed()) == len(lines) - board.rejects.total()


@given(st.integers(0, 600), st.binary(min_size=1, max_size=4), st.sampled_from([snapshot(), completed()]))
def test_a_damaged_line_is_read_or_counted_never_raised(place: int, damage: bytes, whole: bytes) -> None:
    """Any few bytes anywhere in a good line."""
    place %= len(whole)
    board = board_of(whole[:place] + damage + whole[place + len(damage) :])
    assert board.lines_read == 1


@given(st.integers(0, 400))
def test_a_half_line_is_never_a_snapshot(length: int) -> None:
    """A line cut anywhere, as a full disk or a kill leaves it."""
    whole = snapshot(queue_name="Support")
    assert isinstance(decode(whole[: min(length, len(whole) - 1)]), Reject)


def test_prefixes_of_the_journal_are_taken_off() -> None:
    """`<6>` from the unit's stdout; date and host from journalctl without -o cat; CR from a Windows copy."""
    for prefix in (b"<6>", b"<14>", b"Nov 24 04:00:15 host queuetick[123]: ", b"\xef\xbb\xbf", b"  "):
        assert isinstance(decode(prefix + snapshot() + b"\r"), Line)


def test_lines_that_are_not_for_the_table_are_told_apart() -> None:
    """So that the count of skipped lines means trouble with the input and nothing else."""
    assert {
        b"Started queuetick.service - Genesys Cloud queue observations": Reject.TEXT,
        b"": Reject.TEXT,
        b"{x}": Reject.TEXT,
        b"\xff\xfe{\x00": Reject.TEXT,
        b"[" * 100_000: Reject.TEXT,
        b'{"a":' + b"[" * 100_000: Reject.BROKEN,
        b'{"timestamp":"2026-11-24T04:00:15.412Z","ev': Reject.BROKEN,
        snapshot(waiting="seven"): Reject.BROKEN,
        line("some.future.event", START): Reject.OTHER,
        b'{"@timestamp":"2026-11-24T04:00:15Z","event":{"action":"queue.snapshot"}}': Reject.ECS,
        b'{"timestamp":"2026-11-24T04:00:15Z","severityNumber":9,"attributes":{}}': Reject.OTEL,
        b'{"__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}': Reject.JOURNAL,
    } == {
        text: decode(text)
        for text in (
            b"Started queuetick.service - Genesys Cloud queue observations",
            b"",
            b"{x}",
            b"\xff\xfe{\x00",
            b"[" * 100_000,
            b'{"a":' + b"[" * 100_000,
            b'{"timestamp":"2026-11-24T04:00:15.412Z","ev',
            snapshot(waiting="seven"),
            line("some.future.event", START),
            b'{"@timestamp":"2026-11-24T04:00:15Z","event":{"action":"queue.snapshot"}}',
            b'{"timestamp":"2026-11-24T04:00:15Z","severityNumber":9,"attributes":{}}',
            b'{"__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}',
        )
    }
    assert board_of(line("token.renewed", START)).skipped == 0
    assert board_of(b"half").skipped == 1


def test_a_trend_has_a_gap_where_a_cycle_has_no_snapshot() -> None:
    """Cycles 2 and 3 never said anything about the queue."""
    board = board_of(snapshot(cycle=1, waiting=4), snapshot(cycle=4, at=START + 45, waiting=9))
    assert [(board.ordinal - 3, 4), (board.ordinal, 9)] == list(board.rows["q1"].trend)


def test_a_trend_holds_no_more_than_its_cycles() -> None:
    """Memory stays flat over a night."""
    board = board_of(*(snapshot(cycle=n, at=START + n, waiting=n) for n in range(1, 100)))
    assert list(range(100 - TREND_CYCLES, 100)) == [waiting for _, waiting in board.rows["q1"].trend]


@given(st.integers(1, 10**9), st.booleans())
def test_a_restarted_daemon_goes_on_in_the_next_column(first: int, told: bool) -> None:
    """Whether or not its daemon.started was read, and from whatever number it counts on."""
    before = [snapshot(cycle=500, at=START, waiting=1), snapshot(cycle=501, at=START + 15, waiting=2)]
    started = [line("daemon.started", START + 20)] if told else []
    number = first if told else min(first, 500)
    board = board_of(*before, *started, snapshot(cycle=number, at=START + 30, waiting=3))
    ordinals, values = zip(*board.rows["q1"].trend, strict=True)
    assert values == (1, 2, 3)
    assert (ordinals[0], ordinals[0] + 1, ordinals[0] + 2) == ordinals


def test_a_missing_queue_shows_no_numbers_until_it_comes_back() -> None:
    """Its last numbers are from before it was missing; a snapshot ends the trouble."""
    board = board_of(
        snapshot(waiting=7),
        line("queue.missing", START + 15, queue_id="q1"),
        completed(2, at=START + 15, missing=1),
    )
    row = board.rows["q1"]
    assert row.status and Trouble.MISSING is row.status.trouble
    assert row.latest is None
    board.feed([snapshot(at=START + 30, cycle=3, waiting=0)])
    assert row.status is None and row.latest is not None


def test_a_recovered_queue_is_no_longer_in_trouble() -> None:
    """Before its first snapshot too."""
    board = board_of(
        line("queue.invalid", START, queue_id="q1"), line("queue.recovered", START + 1, queue_id="q1")
    )
    assert board.rows["q1"].status is None


def test_trouble_that_is_older_than_the_numbers_is_over() -> None:
    """Lines of two files that were put together out of order."""
    board = board_of(snapshot(at=START + 30, cycle=3), line("queue.missing", START, queue_id="q1"))
    assert board.rows["q1"].status is None


def test_a_failed_batch_marks_its_own_queues_and_says_since_when() -> None:
    """The reason is the newest, the time that of the first failure."""
    board = board_of(
        snapshot("a"),
        snapshot("b"),
        line("batch.failed", START + 15, queue_ids=["a"], status=503, code="bad.gateway", reason="upstream"),
        line("batch.failed", START + 30, queue_ids=["a", "new"], status="504", code=None, reason="timeout"),
    )
    status = board.rows["a"].status
    assert status and (status.since, status.reason) == (START + 15, "504 timeout")
    assert board.rows["new"].status and board.rows["b"].status is None


def test_a_queue_that_is_no_longer_polled_leaves_the_board() -> None:
    """All snapshots of the cycle came and none was put off: who is not among them is not asked for."""
    board = board_of(snapshot("a"), snapshot("b"), completed(snapshots=2))
    board.feed([snapshot("a", cycle=2, at=START + 15), completed(2, at=START + 15, snapshots=1)])
    assert list(board.rows) == ["a"]


def test_a_queue_that_discovery_removed_leaves_at_once() -> None:
    """Also while cycles fail, when nothing else would tell."""
    board = board_of(
        snapshot("a"), snapshot("b"), line("queues.refreshed", START + 1, removed_ids=["b", "x"])
    )
    assert list(board.rows) == ["a"]


def test_a_queue_whose_line_was_lost_stays_and_the_loss_is_counted() -> None:
    """The cycle counted two snapshots, one arrived: journald dropped the other."""
    board = board_of(snapshot("a"), snapshot("b"), completed(snapshots=2))
    board.feed([snapshot("a", cycle=2, at=START + 15), completed(2, at=START + 15, snapshots=2)])
    assert (sorted(board.rows), board.snapshots_lost) == (["a", "b"], 1)


def test_failed_deferred_missing_and_invalid_queues_stay() -> None:
    """They are polled, there is just no answer."""
    for trouble in ("failed", "deferred", "missing", "invalid"):
        board = board_of(snapshot("a"), snapshot("b"), completed(snapshots=2))
        if trouble in {"missing", "invalid"}:
            board.feed([line(f"queue.{trouble}", START + 15, queue_id="b")])
        account = completed(2, at=START + 15, snapshots=1, **{trouble: 1})
        board.feed([snapshot("a", cycle=2, at=START + 15), account])
        assert {"a", "b"} == set(board.rows), trouble


def test_starting_in_the_middle_of_a_cycle_is_no_loss() -> None:
    """`journalctl -f` begins with the last ten lines."""
    assert board_of(snapshot("a", cycle=8), completed(8, snapshots=45)).snapshots_lost == 0


def test_stale_is_three_intervals_as_configured_learned_or_stretched() -> None:
    """Until the interval is known nothing is called stale early."""
    board = board_of(*(completed(n, at=START + 60 * n) for n in (1, 2)))
    assert board.stale_after == STALE_UNLEARNED
    board.feed([completed(3, at=START + 180)])
    assert board.stale_after == 180.0
    board.feed([line("daemon.started", START + 200, config={"poll": {"interval": 15}})])
    assert board.stale_after == 45.0
    board.feed([line("interval.stretched", START + 201, **{"from": 15, "to": 25, "why": "budget"})])
    assert board.stale_after == 75.0
    board.feed([line("interval.restored", START + 202, **{"from": 25, "to": 15})])
    assert board.stale_after == 45.0


def test_a_name_is_kept_while_lines_do_not_say_it() -> None:
    """`queue_name` is absent until discovery has run, after a restart too."""
    board = board_of(
        snapshot(queue_name="Support", division="Home"), snapshot(cycle=2, at=START + 15), snapshot("q2")
    )
    assert (board.rows["q1"].name, board.rows["q1"].division) == ("Support", "Home")
    assert board.rows["q2"].name == "q2"


def test_a_new_daemon_begins_without_the_troubles_of_the_last() -> None:
    """It says again what is wrong."""
    board = board_of(
        snapshot("a"),
        line("api.lost", START, reason="refused"),
        line("rate_limit.paused", START, retry_after_seconds=30),
        line("queue.invalid", START + 1, queue_id="a"),
        line("queue.invalid", START + 1, queue_id="never-seen"),
        line("daemon.stopped", START + 2, reason="SIGTERM"),
        line("daemon.started", START + 3, requests_per_minute={"needed": 12, "allowed": 300}),
    )
    assert list(board.rows) == ["a"] and board.rows["a"].status is None
    health = board.health
    assert (health.lost, health.stopped, health.paused_until) == (None, None, None)
    assert health.needed and (health.needed.needed, health.needed.allowed) == (12, 300)


def test_standing_troubles_of_the_daemon_come_and_go() -> None:
    """Each transition has its line."""
    board = board_of(
        line("api.lost", START, reason="refused"),
        line("rate_limit.paused", START, retry_after_seconds=30, source="retry-after"),
        line("cycle.skipped", START + 1, cycle=7, reason="rate limit", until=stamp(START + 30)),
        line("cycle.crashed", START + 1, cycle=8, error="KeyError"),
    )
    health = board.health
    assert health.lost and health.lost.reason == "refused"
    assert (health.paused_until, health.paused_source) == (START + 30, "retry-after")
    assert f"cycle 7: rate limit until {stamp(START + 30)}" == health.skipped
    assert health.crashed == "cycle 8 KeyError"
    board.feed(
        [
            line("api.recovered", START + 40),
            line("rate_limit.resumed", START + 40),
            completed(9, at=START + 41),
        ]
    )
    assert (health.lost, health.paused_until, health.skipped, health.crashed) == (None, None, "", "")


def test_a_copy_stands_still() -> None:
    """What a paused screen shows does not change behind its back."""
    board = board_of(*stream(12, 3, start=START))
    frozen = board.copy()
    before = {queue_id: (row.snapshot, list(row.trend), row.status) for queue_id, row in frozen.rows.items()}
    board.feed([snapshot(q, cycle=9, at=START + 900, waiting=99) for q in board.rows])
    board.feed([line("queue.missing", START + 901, queue_id=next(iter(board.rows))), b"junk", completed(9)])
    assert before == {
        queue_id: (row.snapshot, list(row.trend), row.status) for queue_id, row in frozen.rows.items()
    }
    assert frozen.skipped == 0


def test_the_order_of_queues_within_a_cycle_does_not_matter() -> None:
    """Batches run side by side."""
    lines = list(stream(20, 1, start=START))
    mixed = [lines[0], *reversed(lines[1:-1]), lines[-1]]
    one, other = board_of(*lines), board_of(*mixed)
    assert {k: (r.snapshot, list(r.trend)) for k, r in one.rows.items()} == {
        k: (r.snapshot, list(r.trend)) for k, r in other.rows.items()
    }
