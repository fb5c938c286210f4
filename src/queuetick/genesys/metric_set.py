"""Which metrics are asked for, and the search for one that the org's API refuses (facts, 10).

The search asks for parts of the set, for a single queue, and so tells a refused metric from a refused id: a metric is
dropped only when it was refused alone and another part of the set was answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from queuetick.events import MetricRefused
from queuetick.genesys.errors import ApiError, RequestRefused
from queuetick.genesys.queries import METRICS

Ask = Callable[[Sequence[str]], RequestRefused | None]
"""Asks for some metrics; returns the refusal, None when they were answered."""


def named_in(error: ApiError) -> list[str]:
    """The metrics that the text of a refusal names."""
    text = error.named if isinstance(error, RequestRefused) else ""
    return [metric for metric in METRICS if re.search(rf"\b{metric}\b", text)]


class MetricSet:
    """The metrics of the query. A search goes on where the last one stopped: requests are few in one cycle."""

    def __init__(self) -> None:
        self.in_force: tuple[str, ...] = METRICS
        self.refused: tuple[str, ...] = ()
        self._parts: list[Sequence[str]] = []
        self._answered = False
        self._suspect: tuple[str, RequestRefused] | None = None

    def search(self, ask: Ask, error: RequestRefused, *, requests: int) -> list[MetricRefused]:
        """Look for a metric that is refused, by at most `requests` calls of `ask`; drop it from `in_force`.

        `error` is the refusal of the whole set: a metric that its text names is tried first. Returns an event for a
        metric that was found. Raises what `ask` raises.
        """
        if not self._parts and self._suspect is None:
            self._begin(error)
        for _ in range(requests):
            if not self._parts:
                break
            part = self._parts[-1]
            refusal = ask(part)
            self._parts.pop()
            if refusal is None:
                self._answered = True
            elif len(part) > 1:
                self._parts += _halves(part)
            else:
                self._suspect = (part[0], refusal)
            if self._suspect is not None and self._answered:
                return [self._drop(*self._suspect)]
        if not self._parts:  # all was answered, or nothing was: no metric is at fault
            self._suspect, self._answered = None, False
        return []

    def restore(self, ask: Ask) -> None:
        """Ask for each dropped metric once, and take back those that are answered. Raises what `ask` raises."""
        for metric in self.refused:
            if ask((metric,)) is None:
                self.refused = tuple(name for name in self.refused if name != metric)
                self.in_force = tuple(name for name in METRICS if name not in self.refused)

    def _begin(self, error: RequestRefused) -> None:
        named = [metric for metric in named_in(error) if metric in self.in_force]
        rest = [metric for metric in self.in_force if metric not in named]
        self._parts = [*([name] for name in named), rest] if named and rest else _halves(self.in_force)

    def _drop(self, metric: str, refusal: RequestRefused) -> MetricRefused:
        self.refused = (*self.refused, metric)
        self.in_force = tuple(name for name in self.in_force if name != metric)
        self._parts, self._suspect, self._answered = [], None, False
        return MetricRefused(metric=metric, **refusal.evidence(), reason=refusal.reason)


def _halves(part: Sequence[str]) -> list[Sequence[str]]:
    middle = (len(part) + 1) // 2
    return [part[middle:], part[:middle]]
