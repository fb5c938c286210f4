"""Whether the API is lost, since when and why: an event on the change, and in systemd's STATUS as long as it lasts."""

from __future__ import annotations

from queuetick.events import ApiLost, ApiRecovered, CycleReport, Fact
from queuetick.genesys.errors import ApiError
from queuetick.polling.memory import CycleResult


class Outage:
    """Judges each cycle's report."""

    def __init__(self) -> None:
        self.cause: ApiError | None = None
        """The error that lost the API; None while it answers."""
        self._lost_at = 0.0
        self._lost_since = ""
        self._cycles = 0
        self._last_good: str | None = None
        self._status = ""

    def judge(
        self,
        result: CycleResult,
        *,
        error: ApiError | None,
        began: float,
        monotonic: float,
        none_selected: str | None,
        requests: str = "",
    ) -> Fact | None:
        """Take in a cycle that began at `began` and ended at `monotonic`; returns what has changed, if anything has.

        An outage counts from where its first cycle began. `requests` says how much of the budget is used, for STATUS.
        """
        fact: Fact | None = None
        report, waiting = result.report, result.waiting
        error = error or self.cause  # a cycle that could send nothing has no error of its own
        answered = report.snapshots + report.unchanged + report.missing
        if report.outcome == "failed" and error is not None and not none_selected:
            self._cycles += 1
            if self.cause is None:
                self.cause, self._lost_at, self._lost_since = error, began, report.scheduled_at
                fact = ApiLost(reason=error.reason, **error.evidence())
        elif self.cause is not None and answered:
            fact = ApiRecovered(outage_seconds=round(monotonic - self._lost_at, 3), cycles=self._cycles)
            self.cause, self._cycles = None, 0
        self._status = self._describe(report, waiting, none_selected, requests)
        if report.outcome == "ok":
            self._last_good = (
                f"cycle {report.cycle} at {report.scheduled_at}: {report.queues} queues, waiting {waiting}"
            )
        return fact

    @property
    def status(self) -> str:
        """One line on the last cycle, for systemd; not masked and not cut."""
        return self._status

    def _describe(self, report: CycleReport, waiting: int, none_selected: str | None, requests: str) -> str:
        if self.cause is not None:
            good = f"last good {self._last_good}" if self._last_good else "no good cycle yet"
            return f"API lost since {self._lost_since}: {self.cause.reason}; {good}"
        if none_selected is not None:
            return f"cycle {report.cycle} failed: {none_selected}"
        if not report.queues:
            return f"cycle {report.cycle} failed: the queues are not listed yet"
        answered = report.snapshots + report.unchanged
        queues, seconds = f"{answered}/{report.queues} queues", f"{report.duration_seconds:.2f} s"
        parts = filter(None, [queues, seconds, requests, f"waiting {waiting}"])
        text = f"cycle {report.cycle}: {', '.join(parts)}"
        if report.outcome == "ok":
            return text
        short = [
            f"{n} {name}"
            for name in ("missing", "invalid", "failed", "deferred")
            if (n := getattr(report, name))
        ]
        return f"{text}; {report.outcome}" + (f": {', '.join(short)}" if short else "")
