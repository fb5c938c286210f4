"""One rule for /healthz and the alerts: the outcome of the last cycles, their age, and whether lines can be written."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from queuetick import events
from queuetick.events.thresholds import Threshold

PATIENCE = 3
"""Intervals without a completed cycle after which the daemon is stale and its values are too old to show."""
LONGEST_PATIENCE = 300.0
"""Seconds; the bound on `PATIENCE` intervals, so that a stretched interval does not hide an outage."""
SHORT_CYCLES = 2
"""Partial or skipped cycles in a row after which /healthz answers 503: one deferred batch is no outage."""
STUCK_OUTPUT = 5.0
"""Seconds without a written line, while lines wait, after which the output is stuck."""

Cause = Literal["starting", "stale", "failed", "none_selected", "partial", "skipped", "output"]
CAUSES: tuple[Cause, ...] = ("starting", "stale", "failed", "none_selected", "partial", "skipped", "output")


class InForce(Struct, frozen=True):
    """What is in force at this moment and is in no event. The daemon makes one on each call."""

    interval: float
    """Seconds; longer than `interval_configured` while the budget cannot hold that."""
    interval_configured: float
    batch_size: int
    budget_used: int
    """Requests within the last 60 seconds."""
    budget_allowed: int
    budget_needed: float
    """Requests a minute that the configured interval takes."""
    org: str | None = None
    route_limits: dict[str, int] = {}
    """Requests a minute by route, where the API stated a limit of that route."""
    thresholds: tuple[Threshold, ...] = ()
    heartbeat: float = 0.0
    """Seconds for which an unchanged queue may have no line; 0 where every cycle writes every queue."""
    stats_every: float | None = None
    """Seconds between two `queue.stats` of a queue; None where they are off."""
    lines_dropped: int = 0
    """Lines lost to a full buffer since the start, those of a trouble that still lasts included."""
    output_stuck_seconds: float = 0.0
    """Seconds for which the output has taken no line although lines wait; 0 while it takes them."""
    progressing: bool = True
    """Whether the process makes progress; a rate-limit pause is progress, a hung cycle is not."""

    @property
    def patience(self) -> float:
        """Seconds without a completed cycle after which values and health are stale."""
        return min(PATIENCE * self.interval, max(LONGEST_PATIENCE, self.interval + 30.0))


class Health(Struct, frozen=True):
    """The answer of /healthz. `status` is ok only where every selected queue is polled and every line is written."""

    status: Literal["ok", "degraded", "failing"]
    causes: list[Cause]
    reason: str
    last_success_seconds_ago: float | None
    cycle: int | None
    """Number of the last cycle that was run, skipped or crashed."""
    http_status: int = 200


class CycleHealth:
    """Follows the cycles' events. `take` and `health` may be called from several threads."""

    def __init__(self, in_force: Callable[[], InForce], *, monotonic: Callable[[], float]) -> None:
        self._in_force = in_force
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ended_at: float | None = None
        self._polled_at = -math.inf
        self._cycle: int | None = None
        self._cause: Cause | None = None
        self._trouble = ""
        self._short = 0
        self._dropped = 0
        self._dropped_in_cycle = 0
        self._lost = ""
        self._none_selected = ""

    def take(self, event: events.Fact, in_force: InForce | None = None) -> None:
        """Take in one event; `in_force` comes with a report. Those that say nothing of cycles change nothing."""
        with self._lock:
            match event:
                case events.CycleReport():
                    self._completed(event)
                    if in_force is not None:
                        self._dropped_in_cycle = in_force.lines_dropped - self._dropped
                        self._dropped = in_force.lines_dropped
                case events.CycleSkipped():
                    self._cycle = event.cycle
                    self._short += 1
                    self._trouble = f"cycle {event.cycle} was skipped ({event.reason})"
                    if self._cause not in ("failed", "none_selected"):
                        self._cause = "skipped"
                case events.CycleCrashed():
                    self._ended_at, self._cycle = self._monotonic(), event.cycle
                    self._cause, self._trouble = "failed", f"cycle {event.cycle} crashed"
                case events.QueuesNoneSelected():
                    self._none_selected = event.reason
                case events.ApiLost():
                    self._lost = event.reason
                case events.ApiRecovered():
                    self._lost = ""

    def _completed(self, report: events.CycleReport) -> None:
        self._ended_at, self._cycle = self._monotonic(), report.cycle
        answered = report.snapshots + report.unchanged
        if answered + report.missing:
            self._polled_at = self._ended_at
        if report.queues:
            self._none_selected = ""
        self._short = self._short + 1 if report.outcome == "partial" else 0
        if report.outcome == "ok":
            self._cause, self._trouble = None, ""
        elif report.outcome == "partial":
            lost = ", ".join(
                f"{count} {state}"
                for state in ("missing", "invalid", "failed", "deferred")
                if (count := getattr(report, state))
            )
            self._cause = "partial"
            self._trouble = f"cycle {report.cycle} polled {answered} of {report.queues} queues ({lost})"
        elif self._none_selected:
            self._cause = "none_selected"
            self._trouble = f"cycle {report.cycle} had no queue to poll"
        else:
            self._cause, self._trouble = "failed", f"cycle {report.cycle} got no answer"

    def health(self) -> Health:
        """Judge this moment. HTTP 503 for all but ok and a first partial or skipped cycle."""
        in_force = self._in_force()
        with self._lock:
            now = self._monotonic()
            found: list[tuple[Cause, str]] = []
            detail = "".join(f": {text}" for text in (self._none_selected, self._lost) if text)
            why = f": {self._trouble}" if self._trouble else ""
            idle = self._cause in ("partial", "skipped") and now - self._polled_at > in_force.patience
            if self._ended_at is None:
                found.append(("starting", f"no cycle has completed yet{detail}"))
            elif idle and self._polled_at == -math.inf:
                found.append(("starting", f"no queue has been polled yet{why}{detail}"))
            elif (age := now - self._ended_at) > in_force.patience:
                text = f"no cycle has completed for {age:.0f} s, more than {in_force.patience:g} s"
                found.append(("stale", f"{text}{why}{detail}"))
            elif idle:
                age = now - self._polled_at
                text = f"no queue has been polled for {age:.0f} s, more than {in_force.patience:g} s"
                found.append(("stale", f"{text}{why}{detail}"))
            elif self._cause is not None:
                found.append((self._cause, self._trouble + detail))
            if in_force.output_stuck_seconds > STUCK_OUTPUT:
                text = f"no line could be written for {in_force.output_stuck_seconds:.0f} s"
                found.append(("output", text))
            elif self._dropped_in_cycle > 0:
                text = f"{self._dropped_in_cycle} lines were dropped within a cycle: the output is too slow"
                found.append(("output", text))
            ago = now - self._polled_at
            causes = [cause for cause, _ in found]
            short = causes and set(causes) <= {"partial", "skipped"}
            return Health(
                status="degraded" if short else "failing" if found else "ok",
                causes=causes,
                reason="; ".join(text for _, text in found) or f"cycle {self._cycle} polled every queue",
                last_success_seconds_ago=round(ago, 1) if math.isfinite(ago) else None,
                cycle=self._cycle,
                http_status=503 if found and (not short or self._short >= SHORT_CYCLES) else 200,
            )
