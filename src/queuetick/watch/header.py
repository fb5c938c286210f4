"""The top of the screen: how each daemon fares, how much of the budget it uses, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style

from queuetick.events import CycleReport, RateLimit
from queuetick.watch import styles
from queuetick.watch.health import Health
from queuetick.watch.instance import Instance
from queuetick.watch.lines import ELSEWHERE
from queuetick.watch.state import Board
from queuetick.watch.text import UNKNOWN, age, clean, clock_time, duration, value
from queuetick.watch.view import View

BUDGET_WARN = 0.8
BUDGET_CRIT = 0.95
CRIT, WARN, PLAIN, CALM = 3, 2, 1, 0
"""Ranks of what is wrong."""
_STYLES = {
    CRIT: styles.BADGE_CRIT,
    WARN: styles.BADGE_WARN,
    PLAIN: styles.BADGE_PLAIN,
    CALM: styles.DIM,
}
_OUTCOMES = {"ok": CALM, "partial": WARN}


@dataclass(frozen=True)
class Scene:
    """What there is to show. `now` counts ages; `as_of` decides what is stale. Seconds since 1970."""

    board: Board
    view: View
    now: float
    as_of: float
    ended: bool = False
    printed: bool = False
    """Printed once: nobody waits for what comes next."""
    held_back: int | None = None
    """Lines read since the screen was paused; None when it is not."""
    zone: tzinfo | None = UTC
    """Of times of day; None is local time."""
    speed: float | None = None
    """Of a replay: its seconds in a second; None where the lines are live."""

    def clock(self, at: float) -> str:
        return clock_time(at, self.zone)


class Notice(NamedTuple):
    """Something that a reader must not miss. Where `badge` is set it replaces the outcome."""

    rank: int
    badge: str
    words: str

    @property
    def style(self) -> Style:
        return _STYLES[self.rank]


def notices(scene: Scene) -> list[Notice]:
    """The worst first; empty when all is well."""
    several = len(scene.board.instances) > 1
    found = [*_about_input(scene)]
    for instance in scene.board.instances.values():
        for notice in _about_daemon(instance, scene):
            org = f"{clean(instance.org) or 'no org'}: " if several else ""
            found.append(notice._replace(words=f"{org}{notice.words}"))
    return sorted(found, key=lambda notice: -notice.rank)


def health_line(scene: Scene, width: int) -> styles.Line:
    """The last cycle and the budget. In the order of their weight: the last parts may not fit."""
    speed = "" if scene.speed is None else f"replay x{scene.speed:g} "
    clock = [Segment(f"{speed}{scene.clock(scene.now)}", styles.DIM)]
    instances = sorted(scene.board.instances.values(), key=lambda one: (-_badge(one, scene)[0], one.org))
    if len(instances) > 1:
        line = [segment for one in instances for segment in _in_short(one, scene)]
        return styles.spread(line, clock, width)
    badge = _badge(instances[0], scene) if instances else (CALM, UNKNOWN)
    cycle = instances[0].health.cycle if instances else None
    if cycle is None:
        style = _STYLES[badge[0]] if badge[0] else styles.BADGE_PLAIN
        left = [Segment(f" {badge[1]} ", style), Segment("  no cycle completed yet", styles.DIM)]
        return styles.spread(left, clock, width)
    instance = instances[0]
    late = cycle.lateness_seconds or 0.0
    since = scene.now - instance.health.cycle_at
    parts = [
        Segment(f"cycle {cycle.cycle}{_outcome(cycle, badge)}", styles.BOLD),
        Segment(f"{age(since)} ago", styles.CRIT if since > instance.silent_after else styles.PLAIN),
        _polled(cycle),
        *_budget(instance.health),
        Segment(f"took {_seconds(cycle.duration_seconds)}", styles.PLAIN),
        Segment(f"late {_seconds(cycle.lateness_seconds)}", styles.WARN if late >= 1 else styles.PLAIN),
        Segment(f"{value(cycle.requests)} requests", styles.DIM),
        Segment(f"{value(cycle.retries)} retries", styles.WARN if cycle.retries else styles.DIM),
    ]
    line = [_badge_segment(badge)]
    # In a replay the time of day is what the reader came for.
    left_over = width - styles.width_of(line) - (styles.width_of(clock) + 1 if scene.speed else 0)
    # On 80 columns a narrower gap is what lets the lateness in.
    gap = "  " if sum(2 + len(part.text) for part in parts[:6]) <= left_over else " "
    for part in parts:
        left_over -= len(gap) + len(part.text)
        if left_over < 0:
            break
        line += [Segment(gap, styles.PLAIN), part]
    return styles.spread(line, clock, width)


def _in_short(instance: Instance, scene: Scene) -> styles.Line:
    """One of several organisations."""
    cycle = instance.health.cycle
    parts = [
        _badge_segment(_badge(instance, scene)),
        Segment(f" {clean(instance.org) or 'no org'}", styles.BOLD),
    ]
    if cycle is not None:
        since = age(scene.now - instance.health.cycle_at)
        parts += [Segment(f" {since} ago ", styles.PLAIN), _polled(cycle)]
    return [*parts, Segment("   ", styles.PLAIN)]


def _badge(instance: Instance, scene: Scene) -> tuple[int, str]:
    """The worst of what is wrong and the last outcome: never OK beside something worse."""
    cycle = instance.health.cycle
    outcome = (
        (CALM, UNKNOWN)
        if cycle is None
        else (_OUTCOMES.get(cycle.outcome, CRIT), clean(cycle.outcome).upper())
    )
    wrong = [*_about_input(scene), *_about_daemon(instance, scene)]
    badges = [(notice.rank, notice.badge) for notice in wrong if notice.badge]
    return max([*badges, outcome], key=lambda one: one[0])


def _outcome(cycle: CycleReport, badge: tuple[int, str]) -> str:
    """The outcome, where the badge says something worse."""
    return (
        ""
        if cycle.outcome == "ok" or badge[1] == clean(cycle.outcome).upper()
        else f" {clean(cycle.outcome)}"
    )


def _badge_segment(badge: tuple[int, str]) -> Segment:
    rank, text = badge
    good = styles.BADGE_GOOD if text == "OK" else styles.BADGE_PLAIN
    return Segment(f" {text} ", _STYLES[rank] if rank else good)


def _polled(cycle: CycleReport) -> Segment:
    answered = None if cycle.snapshots is None else cycle.snapshots + (cycle.unchanged or 0)
    text = f"{value(answered)}/{value(cycle.queues)} queues"
    return Segment(text, styles.WARN if answered != cycle.queues else styles.PLAIN)


def _budget(health: Health) -> Iterator[Segment]:
    """Requests of the token's minute: what the headers say, else what the daemon computed when it started."""
    cycle, needed = health.cycle, health.needed
    limit = cycle.rate_limit if cycle else None
    if isinstance(limit, RateLimit) and limit.used is not None and limit.allowed:
        share = limit.used / limit.allowed
        style = styles.CRIT if share >= BUDGET_CRIT else styles.WARN if share >= BUDGET_WARN else styles.PLAIN
        yield Segment(f"budget {limit.used:,}/{limit.allowed:,}", style)
    elif needed is not None:
        yield Segment(f"budget {value(needed.needed)}/{value(needed.allowed)} a minute", styles.PLAIN)


def _about_input(scene: Scene) -> Iterator[Notice]:
    board, now = scene.board, scene.now
    if not board.rows:
        for reject, words in ELSEWHERE.items():
            if board.rejects[reject]:
                yield Notice(CRIT, "", words)
    if scene.held_back is not None:
        words = f"PAUSED at {scene.clock(now)}, {scene.held_back:,} lines since; space resumes"
        yield Notice(PLAIN, "PAUSED", words)
    if scene.printed and board.skipped:
        lines = f"{board.skipped:,} of {board.lines_read:,} lines"
        yield Notice(CALM, "", f"{lines} skipped: not from queuetick, or incomplete")
    elif scene.ended:
        what = "INPUT" if scene.speed is None else "REPLAY"
        yield Notice(PLAIN, "ENDED", f"{what} ENDED, last line {_ago(board.newest_at, now)} ago; q quits")


def _about_daemon(instance: Instance, scene: Scene) -> Iterator[Notice]:
    yield from _about_silence(instance, scene)
    yield from _about_troubles(instance, scene)
    health = instance.health
    if health.stretched is not None:
        words = f"INTERVAL STRETCHED to {health.stretched:g} s: the budget does not allow a shorter one"
        yield Notice(WARN, "", words)
    if health.rejected:
        yield Notice(WARN, "", f"CONFIGURATION REJECTED, the old one is in force: {health.rejected}")
    if health.stats_failed:
        yield Notice(WARN, "", f"NO STATISTICS OF TODAY: {health.stats_failed}")
    if instance.snapshots_lost:
        yield Notice(WARN, "", f"{instance.snapshots_lost:,} snapshots were written but did not arrive here")


def _about_silence(instance: Instance, scene: Scene) -> Iterator[Notice]:
    health, now = instance.health, scene.now
    silent = now - instance.newest_at > instance.silent_after
    if health.stopped:
        words = f"DAEMON STOPPED {_since(health.stopped.since, scene)}"
        yield Notice(CRIT, "STOPPED", _sentence(words, health.stopped.reason))
    elif silent and scene.printed:
        yield Notice(CRIT, "STALE", f"STALE: the newest line is {_ago(instance.newest_at, now)} old")
    elif silent and not scene.ended:
        words = (
            f"NO LINES FOR {_ago(instance.newest_at, now)}: is the daemon running, does input still arrive?"
        )
        yield Notice(CRIT, "NO LINES", words)
    elif health.cycle and not scene.ended and now - health.cycle_at > instance.stale_after:
        yield Notice(WARN, "NO CYCLE", f"NO CYCLE COMPLETED for {duration(now - health.cycle_at)}")


def _about_troubles(instance: Instance, scene: Scene) -> Iterator[Notice]:
    health, now = instance.health, scene.now
    if health.lost:
        words = f"API LOST {_since(health.lost.since, scene)}"
        yield Notice(CRIT, "API LOST", _sentence(words, health.lost.reason))
    if health.none_selected is not None:
        yield Notice(CRIT, "NO QUEUES", _sentence("NO QUEUES SELECTED", health.none_selected))
    if health.crashed:
        yield Notice(CRIT, "CRASHED", _sentence("CYCLE CRASHED", health.crashed))
    if health.paused_until is not None:
        left = f"{duration(health.paused_until - now)} left" if health.paused_until > now else "due to go on"
        words = f"RATE LIMIT: paused until {scene.clock(health.paused_until)}, {left}"
        yield Notice(WARN, "LIMITED", _sentence(words, health.paused_source))
    if health.skipped:
        yield Notice(WARN, "SKIPPED", _sentence("CYCLE SKIPPED", health.skipped))


def _ago(at: float, now: float) -> str:
    return duration(now - at) if at > 0 else "never"


def _since(at: float, scene: Scene) -> str:
    return f"since {scene.clock(at)} ({duration(scene.now - at)})"


def _sentence(words: str, reason: str) -> str:
    return f"{words}: {reason}" if reason else words


def _seconds(span: float | None) -> str:
    return UNKNOWN if span is None else f"{span:.1f} s"
