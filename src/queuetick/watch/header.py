"""The top of the screen: how the daemon fares, how much of the budget it uses, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style

from queuetick.events import CycleReport, RateLimit
from queuetick.watch import styles
from queuetick.watch.lines import ELSEWHERE
from queuetick.watch.state import Board
from queuetick.watch.text import UNKNOWN, age, clean, clock_time, duration
from queuetick.watch.view import Thresholds, View

BUDGET_WARN = 0.8
BUDGET_CRIT = 0.95
_BADGES = {"ok": styles.BADGE_GOOD, "partial": styles.BADGE_WARN, "failed": styles.BADGE_CRIT}


@dataclass(frozen=True)
class Scene:
    """What there is to show. `now` counts ages; `as_of` decides what is stale. Seconds since 1970."""

    board: Board
    view: View
    thresholds: Thresholds
    now: float
    as_of: float
    ended: bool = False
    printed: bool = False
    """On paper, so to speak: nobody waits for what comes next."""
    held_back: int | None = None
    """Lines read since the screen was paused; None when it is not."""


def health_line(scene: Scene, width: int) -> styles.Line:
    """The last cycle and the budget. In the order of their weight: the last parts may not fit."""
    clock = [Segment(clock_time(scene.now), styles.DIM)]
    cycle = scene.board.health.cycle
    if cycle is None:
        left = [Segment(f" {UNKNOWN} ", styles.BADGE_PLAIN), Segment("  no cycle completed yet", styles.DIM)]
        return styles.spread(left, clock, width)
    late = cycle.lateness_seconds or 0.0
    since = scene.now - scene.board.health.cycle_at
    overdue = since > scene.board.stale_after
    parts = [
        Segment(f"cycle {cycle.cycle}", styles.BOLD),
        Segment(f"{age(since)} ago", styles.CRIT if overdue else styles.PLAIN),
        _polled(cycle),
        *_budget(scene.board),
        Segment(f"took {_seconds(cycle.duration_seconds)}", styles.PLAIN),
        Segment(f"late {_seconds(cycle.lateness_seconds)}", styles.WARN if late >= 1 else styles.PLAIN),
        Segment(f"{_number(cycle.requests)} requests", styles.DIM),
        Segment(f"{_number(cycle.retries)} retries", styles.WARN if cycle.retries else styles.DIM),
    ]
    line = [Segment(f" {clean(cycle.outcome).upper()} ", _BADGES.get(cycle.outcome, styles.BADGE_PLAIN))]
    left_over = width - styles.width_of(line)
    # On 80 columns a narrower gap is what lets the lateness in.
    gap = "  " if sum(2 + len(part.text) for part in parts[:6]) <= left_over else " "
    for part in parts:
        left_over -= len(gap) + len(part.text)
        if left_over < 0:
            break
        line += [Segment(gap, styles.PLAIN), part]
    return styles.spread(line, clock, width)


def _polled(cycle: CycleReport) -> Segment:
    short = cycle.snapshots != cycle.queues
    text = f"{_number(cycle.snapshots)}/{_number(cycle.queues)} queues"
    return Segment(text, styles.WARN if short else styles.PLAIN)


def _budget(board: Board) -> Iterator[Segment]:
    """Requests of the token's minute: what the headers say, else what the daemon computed when it started."""
    cycle, needed = board.health.cycle, board.health.needed
    limit = cycle.rate_limit if cycle else None
    if isinstance(limit, RateLimit) and limit.used is not None and limit.allowed:
        share = limit.used / limit.allowed
        style = styles.CRIT if share >= BUDGET_CRIT else styles.WARN if share >= BUDGET_WARN else styles.PLAIN
        yield Segment(f"budget {limit.used:,}/{limit.allowed:,}", style)
    elif needed is not None:
        yield Segment(f"budget {_any(needed.needed)}/{_any(needed.allowed)} a minute", styles.PLAIN)


def notices(scene: Scene) -> list[tuple[str, Style]]:
    """What a reader must not miss, the worst first; empty when all is well."""
    return [*_about_input(scene), *_about_daemon(scene)]


def _about_input(scene: Scene) -> Iterator[tuple[str, Style]]:
    board, now = scene.board, scene.now
    if not board.rows:
        for reject, words in ELSEWHERE.items():
            if board.rejects[reject]:
                yield words, styles.BADGE_CRIT
    if scene.held_back is not None:
        yield (
            f"PAUSED at {clock_time(now)}, {scene.held_back:,} lines since; space resumes",
            styles.BADGE_PLAIN,
        )
    if scene.printed:
        if board.skipped:
            lines = f"{board.skipped:,} of {board.lines_read:,} lines"
            yield f"{lines} skipped: not queuetick's, or not whole", styles.DIM
    elif scene.ended:
        yield f"INPUT ENDED, last line {_ago(board, now)} ago; q quits", styles.BADGE_PLAIN
    elif board.lines_read and now - board.newest_at > board.stale_after and not board.health.stopped:
        yield (
            f"NO LINES FOR {_ago(board, now)}: is the daemon running, does the input still come?",
            styles.BADGE_CRIT,
        )
    if board.snapshots_lost:
        yield f"{board.snapshots_lost:,} snapshots were written but never came here", styles.BADGE_WARN


def _about_daemon(scene: Scene) -> Iterator[tuple[str, Style]]:
    health, now = scene.board.health, scene.now
    if health.stopped:
        words = f"DAEMON STOPPED {_since(health.stopped.since, now)}"
        yield _sentence(words, health.stopped.reason), styles.BADGE_CRIT
    if health.lost:
        yield _sentence(f"API LOST {_since(health.lost.since, now)}", health.lost.reason), styles.BADGE_CRIT
    if health.paused_until is not None:
        left = f"{duration(health.paused_until - now)} left" if health.paused_until > now else "due to go on"
        words = f"RATE LIMIT: paused until {clock_time(health.paused_until)}, {left}"
        yield _sentence(words, health.paused_source), styles.BADGE_WARN
    if health.crashed:
        yield _sentence("CYCLE CRASHED", health.crashed), styles.BADGE_CRIT
    if health.skipped:
        yield _sentence("CYCLE SKIPPED", health.skipped), styles.BADGE_WARN
    if health.stretched is not None:
        yield (
            f"INTERVAL STRETCHED to {health.stretched:g} s: the budget holds no shorter one",
            styles.BADGE_WARN,
        )


def _ago(board: Board, now: float) -> str:
    return duration(now - board.newest_at) if board.newest_at > 0 else "never"


def _since(at: float, now: float) -> str:
    return f"since {clock_time(at)} ({duration(now - at)})"


def _sentence(words: str, reason: str) -> str:
    return f"{words}: {reason}" if reason else words


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _seconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f} s"


def _any(value: object) -> str:
    return UNKNOWN if value is None else f"{value:g}" if isinstance(value, float) else clean(value)
