"""The board holds what the lines say, whatever order, run or shape they come in."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from screens import board_of
from watch_lines import START, completed, line, snapshot, stamp, stream

from queuetick.watch.header import Scene
from queuetick.watch.health import Trouble
from queuetick.watch.history import GAP, HISTORY, UNKNOWN, History
from queuetick.watch.instance import STALE_UNLEARNED, Instance
from queuetick.watch.lines import Line, Reject, decode
from queuetick.watch.screen import Screen
from queuetick.watch.state import Board, Row
from queuetick.watch.tail import Printer
from queuetick.watch.view import Pane, View, status

QUEUES = ("a", "b", "c")
TICK = {"scheduled_at": stamp(START)}
NEXT = {"scheduled_at": stamp(START + 15)}


def row(board: Board, queue_id: str = "q1", org: str = "") -> Row:
    return board.rows[org, queue_id]


def one(board: Board) -> Instance:
    """The only organisation."""
    (instance,) = board.instances.values()
    return instance


def trend(board: Board, cycles: int, queue_id: str = "q1") -> list[int]:
    return row(board, queue_id).history.window(one(board).ordinal, cycles)


def ids(board: Board) -> list[str]:
    return [queue_id for _, queue_id in board.rows]


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
    shown = {row.queue_id: row.snapshot.waiting for row in board.rows.values() if row.snapshot}
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
    found = {
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
    }
    assert found == {text: decode(text) for text in found}
    assert board_of(line("token.renewed", START)).skipped == 0
    assert board_of(b"half").skipped == 1


def test_a_trend_has_a_gap_where_a_cycle_has_no_snapshot() -> None:
    """Cycles 2 and 3 never said anything about the queue."""
    board = board_of(snapshot(cycle=1, waiting=4), snapshot(cycle=4, at=START + 45, waiting=9))
    assert trend(board, 5) == [GAP, 4, GAP, GAP, 9]


@given(
    st.lists(st.tuples(st.integers(1, 700), st.none() | st.integers(0, 9)), max_size=40), st.integers(1, 80)
)
def test_a_history_is_the_values_of_consecutive_cycles(
    steps: list[tuple[int, int | None]], cycles: int
) -> None:
    """Whatever is left out is a gap, and memory stays flat over a night."""
    history, expected, ordinal = History(), {}, 0
    for step, waiting in steps:
        ordinal += step
        history.put(ordinal, waiting)
        expected[ordinal] = UNKNOWN if waiting is None else waiting
    for newest in (ordinal, ordinal + 7, max(0, ordinal - 3)):
        window = range(newest - cycles + 1, newest + 1)
        wanted = [expected.get(one, GAP) if one > ordinal - HISTORY else GAP for one in window]
        assert history.window(newest, cycles) == wanted
    assert len(history.values) <= 2 * HISTORY + 1


@given(st.integers(1, 10**9), st.booleans())
def test_a_restarted_daemon_goes_on_in_the_next_column(first: int, told: bool) -> None:
    """Whether or not its daemon.started was read, and from whatever number it counts on."""
    before = [snapshot(cycle=500, at=START, waiting=1), snapshot(cycle=501, at=START + 15, waiting=2)]
    started = [line("daemon.started", START + 20)] if told else []
    number = first if told else min(first, 500)
    board = board_of(*before, *started, snapshot(cycle=number, at=START + 30, waiting=3))
    assert trend(board, 3) == [1, 2, 3]


def test_a_missing_queue_shows_no_numbers_until_it_comes_back() -> None:
    """Its last numbers are from before it was missing; a snapshot ends the trouble."""
    board = board_of(
        snapshot(waiting=7),
        line("queue.missing", START + 15, queue_id="q1"),
        completed(2, at=START + 15, missing=1),
    )
    gone = row(board)
    assert gone.status and Trouble.MISSING is gone.status.trouble
    assert gone.latest is None
    board.feed([snapshot(at=START + 30, cycle=3, waiting=0)])
    assert gone.status is None and gone.latest is not None


def test_a_recovered_queue_is_no_longer_in_trouble() -> None:
    """Before its first snapshot too."""
    board = board_of(
        line("queue.invalid", START, queue_id="q1"), line("queue.recovered", START + 1, queue_id="q1")
    )
    assert row(board).status is None


def test_trouble_that_is_older_than_the_numbers_is_over() -> None:
    """Lines of two files that were put together out of order."""
    board = board_of(snapshot(at=START + 30, cycle=3), line("queue.missing", START, queue_id="q1"))
    assert row(board).status is None


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        (line("api.lost", START + 30), line("api.recovered", START)),
        (line("rate_limit.paused", START + 30, retry_after_seconds=9), line("rate_limit.resumed", START)),
        (line("queues.none_selected", START + 30, reason="x"), line("queues.refreshed", START, total=1)),
        (line("config.rejected", START + 30), line("config.reloaded", START)),
        (line("queue.missing", START + 30, queue_id="q1"), line("queue.recovered", START, queue_id="q1")),
        (
            line("queue.stats", START + 30, queue_id="q1"),
            line("queue.stats", START, queue_id="q1", offered=5),
        ),
        (line("daemon.stopped", START + 30), line("daemon.started", START)),
        (completed(3, at=START + 30, outcome="failed"), completed(1)),
    ],
    ids=lambda raw: decode(raw).fact.__struct_config__.tag,
)
def test_a_line_that_comes_late_takes_nothing_newer_back(newer: bytes, older: bytes) -> None:
    """A file that is put behind a newer one, or a shipper that sends again."""
    board, other = board_of(snapshot(at=START - 1), newer), board_of(snapshot(at=START - 1), newer, older)
    assert row(board).status == row(other).status and row(board).stats == row(other).stats
    assert one(board).health == one(other).health


@given(st.floats(60, 1e10), st.integers(0, 9), st.booleans())
def test_a_line_from_the_future_hides_no_later_one_and_ages_as_others_do(
    ahead: float, waiting: int, together: bool
) -> None:
    """The writer's clock was set back, or differs from the reader's."""
    then, board = START + ahead, board_of(line("daemon.started", START, config={"poll": {"interval": 15}}))
    future = [
        snapshot(at=then, waiting=99, scheduled_at=stamp(then)),
        completed(1, at=then, scheduled_at=stamp(then)),
        line("api.lost", then),
    ]
    real = [
        snapshot(at=START + 15, cycle=2, waiting=waiting, **NEXT),
        completed(2, at=START + 15, **NEXT),
        line("api.recovered", START + 15),
    ]
    for lines, now in [([*future, *real], START + 15)] if together else [(future, START), (real, START + 15)]:
        board.feed(lines, now)
        assert row(board).at <= now and one(board).newest_at <= now
    found, health = row(board), one(board).health
    assert found.snapshot and found.snapshot.waiting == waiting and trend(board, 1) == [waiting]
    assert health.cycle and health.cycle.cycle == 2 and health.lost is None
    assert status(found, board, START + 60) is None
    late = status(found, board, START + 61)
    assert late and late.trouble is Trouble.STALE


def test_a_clock_that_is_set_back_makes_no_row_fresh_for_longer() -> None:
    """That of the reader. The rows that still get lines are shown, the others become stale."""
    board = board_of(line("daemon.started", START, config={"poll": {"interval": 15}}))
    board.feed([snapshot("a"), snapshot("b")], START)
    board.feed([snapshot("a", cycle=2, at=START - 3600, waiting=5)], START - 3600)
    a, b = row(board, "a"), row(board, "b")
    assert a.snapshot and a.snapshot.waiting == 5
    assert [status(one, board, START - 3550) is not None for one in (a, b)] == [True, True]


def test_a_failed_batch_marks_its_own_queues_and_says_since_when() -> None:
    """The reason is the newest, the time that of the first failure."""
    board = board_of(
        snapshot("a"),
        snapshot("b"),
        line("batch.failed", START + 15, queue_ids=["a"], status=503, code="bad.gateway", reason="upstream"),
        line("batch.failed", START + 30, queue_ids=["a", "new"], status="504", code=None, reason="timeout"),
    )
    status = row(board, "a").status
    assert status and (status.since, status.reason) == (START + 15, "504 timeout")
    assert row(board, "new").status and row(board, "b").status is None


def test_a_queue_that_is_no_longer_polled_leaves_the_board() -> None:
    """All snapshots of the cycle came and none was put off: who is not among them is not asked for."""
    board = board_of(snapshot("a"), snapshot("b"), completed(snapshots=2))
    board.feed([snapshot("a", cycle=2, at=START + 15), completed(2, at=START + 15, snapshots=1)])
    assert ids(board) == ["a"]


def test_a_queue_that_discovery_removed_leaves_at_once() -> None:
    """Also while cycles fail, when nothing else would tell."""
    board = board_of(
        snapshot("a"), snapshot("b"), line("queues.refreshed", START + 1, removed_ids=["b", "x"])
    )
    assert ids(board) == ["a"]


def test_a_queue_whose_line_was_lost_stays_and_the_loss_is_counted() -> None:
    """The cycle counted two snapshots, one arrived: journald dropped the other."""
    board = board_of(snapshot("a"), snapshot("b"), completed(snapshots=2))
    board.feed([snapshot("a", cycle=2, at=START + 15), completed(2, at=START + 15, snapshots=2)])
    assert (sorted(ids(board)), one(board).snapshots_lost) == (["a", "b"], 1)


def test_failed_deferred_missing_and_invalid_queues_stay() -> None:
    """They are polled, there is just no answer."""
    for trouble in ("failed", "deferred", "missing", "invalid"):
        board = board_of(snapshot("a"), snapshot("b"), completed(snapshots=2))
        if trouble in {"missing", "invalid"}:
            board.feed([line(f"queue.{trouble}", START + 15, queue_id="b")])
        account = completed(2, at=START + 15, snapshots=1, **{trouble: 1})
        board.feed([snapshot("a", cycle=2, at=START + 15), account])
        assert {"a", "b"} == set(ids(board)), trouble


def test_starting_in_the_middle_of_a_cycle_is_no_loss() -> None:
    """`journalctl -f` begins with the last ten lines."""
    assert one(board_of(snapshot("a", cycle=8), completed(8, snapshots=45))).snapshots_lost == 0


def test_stale_is_three_intervals_as_configured_learned_or_stretched() -> None:
    """Until the interval is known nothing is called stale early."""
    board = board_of(*(completed(n, at=START + 60 * n) for n in (1, 2)))
    assert one(board).stale_after == STALE_UNLEARNED
    board.feed([completed(3, at=START + 180)])
    assert one(board).stale_after == 180.0
    board.feed([line("daemon.started", START + 200, config={"poll": {"interval": 15}})])
    assert one(board).stale_after == 45.0
    board.feed([line("interval.stretched", START + 201, **{"from": 15, "to": 25, "why": "budget"})])
    assert one(board).stale_after == 75.0
    board.feed([line("interval.restored", START + 202, **{"from": 25, "to": 15})])
    assert one(board).stale_after == 45.0


def test_a_reload_says_which_settings_are_no_longer_known() -> None:
    """Their values are in no line: the interval is learned again, and no row is stale or fresh by the old one."""
    config = {"poll": {"interval": 15}, "output": {"snapshots": "changed", "heartbeat": 60}}
    board = board_of(
        line("daemon.started", START, config=config),
        *(completed(n, at=START + 15 * n) for n in range(1, 4)),
        snapshot(at=START + 45, cycle=3),
        line("queue.stats", START + 45, queue_id="q1", offered=205),
        line("config.reloaded", START + 46, changed=["log.level"]),
    )
    assert one(board).stale_after == 90.0 and row(board).stats
    changed = ["poll.interval", "output.snapshots", "stats.enabled"]
    board.feed([line("config.reloaded", START + 47, changed=changed)])
    assert one(board).stale_after == STALE_UNLEARNED and row(board).stats is None
    board.feed([completed(n, at=START + 60 * (n - 3)) for n in range(4, 8)])
    assert one(board).stale_after == 180.0


def test_a_name_is_kept_while_lines_do_not_say_it() -> None:
    """`queue_name` is absent until discovery has run, after a restart too."""
    board = board_of(
        snapshot(queue_name="Support", division="Home"), snapshot(cycle=2, at=START + 15), snapshot("q2")
    )
    assert (row(board).name, row(board).division) == ("Support", "Home")
    assert row(board, "q2").name == "q2"


def test_a_new_daemon_begins_without_the_troubles_of_the_last() -> None:
    """It says again what is wrong."""
    board = board_of(
        snapshot("a"),
        line("queue.stats", START, queue_id="a", offered=205),
        line("api.lost", START, reason="refused"),
        line("rate_limit.paused", START, retry_after_seconds=30),
        line("queue.invalid", START + 1, queue_id="a"),
        line("queue.invalid", START + 1, queue_id="never-seen"),
        line("daemon.stopped", START + 2, reason="SIGTERM"),
        line("daemon.started", START + 3, requests_per_minute={"needed": 12, "allowed": 300}),
    )
    assert ids(board) == ["a"] and (row(board, "a").status, row(board, "a").stats) == (None, None)
    health = one(board).health
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
    health = one(board).health
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
    before = {
        queue_id: (row.snapshot, list(row.history.values), row.status)
        for queue_id, row in frozen.rows.items()
    }
    board.feed([snapshot(q, cycle=9, at=START + 900, waiting=99) for q in ids(board)])
    board.feed([line("queue.missing", START + 901, queue_id=ids(board)[0]), b"junk", completed(9)])
    assert before == {
        queue_id: (row.snapshot, list(row.history.values), row.status)
        for queue_id, row in frozen.rows.items()
    }
    assert frozen.skipped == 0


def test_the_order_of_queues_within_a_cycle_does_not_matter() -> None:
    """Batches run side by side."""
    lines = list(stream(20, 1, start=START))
    mixed = [lines[0], *reversed(lines[1:-1]), lines[-1]]
    one, other = board_of(*lines), board_of(*mixed)
    assert {k: (r.snapshot, list(r.history.values)) for k, r in one.rows.items()} == {
        k: (r.snapshot, list(r.history.values)) for k, r in other.rows.items()
    }


def test_two_organisations_in_one_stream_do_not_touch_each_other() -> None:
    """Rows, cycle numbers, health and staleness are each its own, even where queue ids are equal."""
    board = board_of(
        line("daemon.started", START, org="emea", config={"poll": {"interval": 15}}),
        snapshot(org="emea", cycle=900, waiting=1),
        snapshot(org="apac", cycle=3, waiting=2, at=START + 1),
        completed(900, org="emea", at=START + 1),
        completed(3, org="apac", at=START + 1),
        snapshot(org="emea", cycle=901, waiting=3, at=START + 15),
        snapshot(org="apac", cycle=4, waiting=4, at=START + 16),
        line("api.lost", START + 17, org="apac", reason="refused"),
        completed(901, org="emea", at=START + 17),
    )
    assert set(board.rows) == {("emea", "q1"), ("apac", "q1")}
    emea, apac = board.instances["emea"], board.instances["apac"]
    windows = [row(board, org=one.org).history.window(one.ordinal, 2) for one in (emea, apac)]
    assert windows == [[1, 3], [2, 4]]
    assert apac.health.lost and emea.health.lost is None
    assert (emea.stale_after, apac.stale_after) == (45.0, STALE_UNLEARNED)
    board.feed([line("daemon.started", START + 20, org="apac")])
    assert emea.health.cycle and emea.health.cycle.cycle == 901


def test_a_hot_pair_shows_each_queue_and_each_tick_once() -> None:
    """Two daemons write the same queues: (queue_id, scheduled_at) is the key, cycle numbers are each its own."""
    lines: list[bytes] = [line("daemon.started", START - 60, config={"poll": {"interval": 15}})]
    for number, tick in enumerate((TICK, NEXT)):
        at = START + 15 * number
        for daemon, (cycle, delay) in enumerate(((700, 0.1), (4, 0.6))):
            lines += [
                snapshot(q, at=at + delay, cycle=cycle + number, waiting=number + 1 + daemon, **tick)
                for q in "ab"
            ]
            lines.append(completed(cycle + number, at=at + delay + 0.1, snapshots=2, **tick))
    board = board_of(*lines)
    assert ids(board) == ["a", "b"]
    assert trend(board, 3, "a") == [GAP, 1, 2]
    assert (one(board).snapshots_lost, row(board, "a").status) == (0, None)


def test_of_a_hot_pair_the_better_outcome_of_a_tick_counts() -> None:
    """The rows show what was answered. One daemon that stops, or loses the API, is not the end of the other."""
    board = board_of(
        completed(1, **TICK), completed(9, at=START + 1, outcome="failed", snapshots=0, failed=1, **TICK)
    )
    health = one(board).health
    assert health.cycle and health.cycle.outcome == "ok"
    board.feed([line("daemon.stopped", START + 2), line("api.lost", START + 3)])
    assert health.stopped and health.lost
    board.feed([completed(2, at=START + 15, **NEXT)])
    assert (health.stopped, health.lost) == (None, None)


def test_a_tick_that_was_left_out_is_a_gap_on_the_grid() -> None:
    """Also where the numbers of cycles do not tell, as after a restart."""
    board = board_of(
        line("daemon.started", START, config={"poll": {"interval": 15}}),
        snapshot(cycle=7, waiting=1, **TICK),
        line("daemon.started", START + 50, config={"poll": {"interval": 15}}),
        snapshot(cycle=1, at=START + 60, waiting=2, scheduled_at=stamp(START + 60)),
    )
    assert trend(board, 5) == [1, GAP, GAP, GAP, 2]


def test_queues_without_a_line_are_neither_gone_nor_stale_where_only_changes_are_written() -> None:
    """`[output] snapshots = "changed"`: a line comes at the latest every heartbeat."""
    config = {"poll": {"interval": 15}, "output": {"snapshots": "changed", "heartbeat": 60}}
    board = board_of(
        line("daemon.started", START, config=config),
        snapshot("a", **TICK),
        snapshot("b", **TICK),
        completed(1, snapshots=2, **TICK),
        line("batch.failed", START + 2, queue_ids=["b"], status=503),
        snapshot("a", cycle=2, at=START + 15, waiting=1, **NEXT),
        completed(2, at=START + 15, snapshots=1, unchanged=1, **NEXT),
    )
    assert ids(board) == ["a", "b"] and row(board, "b").status is None
    assert one(board).stale_after == 90.0


def test_the_last_events_are_kept_for_the_board_and_for_each_queue() -> None:
    """Each change that matters, in its order."""
    board = board_of(
        snapshot("a"),
        snapshot("a", at=START + 15, cycle=2, waiting=3),
        line("api.lost", START + 16, "error", reason="refused"),
        line("queue.missing", START + 17, "warning", queue_id="a"),
    )
    assert [entry.mark for entry in board.events] == ["", "!!", "!"]
    assert [entry.at for entry in board.events_of(("", "a"), 9)] == [START + 15, START + 17]


def test_statistics_of_today_are_kept_with_their_queue() -> None:
    """`queue.stats` of a queue that has no snapshot yet says nothing about a row."""
    board = board_of(snapshot("a"), line("queue.stats", START, queue_id="a", offered=205))
    board.feed([line("queue.stats", START, queue_id="other", offered=1)])
    assert ids(board) == ["a"] and board.has_stats
    stats = row(board, "a").stats
    assert stats and stats.offered == 205


@given(
    st.lists(
        st.sampled_from(
            [
                snapshot(scheduled_at="9999-12-31T23:59:59Z"),
                snapshot(scheduled_at="0001-01-01T00:00:00Z"),
                snapshot(scheduled_at="soon", waiting=10**30, longest_wait_seconds=1e308),
                snapshot(
                    waiting=-5,
                    longest_wait_seconds=-3,
                    media={"voice": {"waiting": 1, "wait_target_seconds": 0}},
                ),
                snapshot().replace(b"2026-", b"0001-"),
                snapshot().replace(b"2026-", b"9999-"),
                line("interval.stretched", START, **{"from": 1, "to": 1e-320}),
                line("interval.stretched", START, **{"from": 1, "to": -5}),
                line("rate_limit.paused", START, retry_after_seconds=1e300),
                line(
                    "daemon.started", START, config={"poll": {"interval": "x"}, "output": [], "thresholds": 5}
                ),
                line("queue.stats", START, queue_id="q1", service_level=None, answer_seconds={}),
                line("config.rejected", START, problems=[{"key": "a"}]),
                line("batch.failed", START, queue_ids=None, queue_names=None),
                completed(1, outcome="odd", duration_seconds=1e300, scheduled_at="9999-12-31T23:59:59Z"),
                *(completed(n, scheduled_at=stamp(START + 15 * n)) for n in (1, 2, 3, 9)),
                snapshot(cycle=10**18),
                snapshot(cycle=-1, at=START + 1),
            ]
        )
    )
)
def test_absurd_values_can_be_read_and_shown(lines: list[bytes]) -> None:
    """Whatever the order: a screen, a queue in full, and every event in words."""
    board = board_of(*lines)
    for pane in (Pane.EVENTS, Pane.DETAIL):
        view = View(pane=pane, cursor=next(iter(board.rows), None))
        Screen().frame(Scene(board, view, START + 9, START + 9, zone=None), 120, 40)
    stream = io.StringIO()
    Printer(stream, everything=True).append(lines)
    assert len(stream.getvalue().splitlines()) >= len(board.events)
