"""The queues' gauges as Prometheus text.

Written out here and not by prometheus_client: for 1,500 queues (30,000 samples) that takes a tenth of the time.
What the API did not say has no sample: absence, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from queuetick.events import MediaStats, QueueSnapshot, QueueStats
from queuetick.events.thresholds import ASYNCHRONOUS, Threshold, Thresholds

TOGETHER = 50
"""Queues whose lines are held as text, which takes several times the memory of bytes."""
MOST_LABELS = 20_000
"""Queues whose labels are remembered as text."""

_HELP = {
    "waiting": "Contacts that no agent has been offered, by media type.",
    "interacting": "Contacts connected with an agent, by media type.",
    "longest_wait_seconds": "Age of the oldest wait, by media type; absent when nobody waits.",
    "wait_target_seconds": "The queue's own service level target for waits, by media type; absent where not known.",
    "over_target": "1 while some medium's longest wait is over its target; absent where that cannot be told.",
    "severity": "0 nobody waits, 1 under every limit, 2 warning, 3 critical; of live and of asynchronous media.",
    "waiting_limit": "Limit of waiting from [[thresholds]], by media type and level.",
    "longest_wait_limit_seconds": "Limit of the longest wait from [[thresholds]], by media type and level.",
    "closed": "1 while the hours of every threshold that selects the queue and media type are over; else absent.",
    "agents_available": "On-queue agents whose routing status is idle.",
    "agents_on_queue": "On-queue agents, over all routing statuses.",
    "today_offered": "Contacts offered since midnight in stats.timezone, by media type.",
    "today_answered": "Contacts answered since midnight in stats.timezone, by media type.",
    "today_abandoned": "Contacts that gave up since midnight in stats.timezone, by media type.",
    "today_service_level_ratio": "The API's service level since midnight, by media type; absent without contacts.",
    "today_service_level_target_ratio": "The queue's own target for that ratio, by media type.",
    "today_answer_mean_seconds": "Mean wait of the contacts answered since midnight, by media type.",
    "today_answer_max_seconds": "Longest wait of the contacts answered since midnight, by media type.",
}


Lines = dict[str, list[str]]
"""Samples by family, not yet as bytes."""


class QueueText:
    """Renders snapshots and stats. Remembers the labels of each queue between renderings."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        """`mask` takes secrets out of a label's value."""
        self._mask = mask
        self._table: tuple[Threshold, ...] = ()
        self._thresholds = Thresholds()
        self._known: dict[tuple[str | None, str, str | UnsetType, str | UnsetType], str] = {}

    def forget_labels(self) -> None:
        """Compose every label again: the secrets may have changed."""
        self._known.clear()

    def render(
        self,
        org: str | None,
        snapshots: Iterable[QueueSnapshot],
        stats: Iterable[QueueStats],
        thresholds: tuple[Threshold, ...],
        now: float,
    ) -> list[bytearray]:
        """The text format 0.0.4, a piece for each family. `now`, in seconds since 1970, is for hours.

        By media where the API tells them apart, else one sample without media: never both, so that sum() is right.
        """
        families = {
            name: bytearray(
                f"# HELP genesys_queue_{name} {text}\n# TYPE genesys_queue_{name} gauge\n".encode()
            )
            for name, text in _HELP.items()
        }
        lines: Lines = {name: [] for name in _HELP}
        if thresholds != self._table:
            self._table, self._thresholds = thresholds, Thresholds(thresholds)
        for number, snapshot in enumerate(snapshots):
            labels = self._labels(org, snapshot)
            self._add_snapshot(lines, labels, snapshot)
            for kind, severity in self._severities(snapshot, now):
                _add(lines, "severity", f'{labels},kind="{kind}"', severity)
            if thresholds:
                self._add_limits(lines, labels, snapshot, now)
            if number % TOGETHER == 0:
                _move(lines, families)
        for number, of_queue in enumerate(stats):
            self._add_stats(lines, self._labels(org, of_queue), of_queue)
            if number % TOGETHER == 0:
                _move(lines, families)
        _move(lines, families)
        return list(families.values())

    def _add_snapshot(self, lines: Lines, labels: str, snapshot: QueueSnapshot) -> None:
        over_target = None if snapshot.over_target is None else int(snapshot.over_target)
        _add(lines, "agents_available", labels, snapshot.agents_available)
        _add(lines, "agents_on_queue", labels, snapshot.agents_on_queue)
        _add(lines, "over_target", labels, over_target)
        if not snapshot.media:
            _add(lines, "waiting", labels, snapshot.waiting)
            _add(lines, "interacting", labels, snapshot.interacting)
            _add(lines, "longest_wait_seconds", labels, snapshot.longest_wait_seconds)
        for media, counts in (snapshot.media or {}).items():
            of_media = _with_media(labels, media)
            _add(lines, "waiting", of_media, counts.waiting)
            _add(lines, "interacting", of_media, counts.interacting)
            _add(lines, "longest_wait_seconds", of_media, counts.longest_wait_seconds)
            _add(lines, "wait_target_seconds", of_media, counts.wait_target_seconds)

    def _severities(self, snapshot: QueueSnapshot, now: float) -> Iterable[tuple[str, int]]:
        """(kind, severity) of the live media, and of the asynchronous ones where contacts wait in them."""
        if snapshot.waiting is None:
            return ()
        waiting = {name: counts for name, counts in (snapshot.media or {}).items() if counts.waiting}
        slow = {name: counts for name, counts in waiting.items() if name in ASYNCHRONOUS}
        if not slow:
            return (("live", self._assessed(snapshot, now)),)
        if len(slow) == len(waiting):
            return (("live", 0), ("asynchronous", self._assessed(snapshot, now)))
        live = {name: counts for name, counts in waiting.items() if name not in slow}
        return (
            ("live", self._assessed(replace(snapshot, media=live), now)),
            ("asynchronous", self._assessed(replace(snapshot, media=slow), now)),
        )

    def _assessed(self, snapshot: QueueSnapshot, now: float) -> int:
        return int(self._thresholds.assess(snapshot, now).severity)

    def _add_limits(self, lines: Lines, labels: str, snapshot: QueueSnapshot, now: float) -> None:
        for media in snapshot.media or (None,):
            of_media = labels if media is None else _with_media(labels, media)
            threshold = self._thresholds.counting(snapshot, media, now)
            if threshold is None:
                _add(lines, "closed", of_media, 1)
            elif isinstance(threshold, Threshold):
                for name, limits in (
                    ("waiting_limit", threshold.waiting),
                    ("longest_wait_limit_seconds", threshold.longest_wait),
                ):
                    warning, critical = limits if isinstance(limits, tuple) else (None, limits)
                    _add(lines, name, f'{of_media},level="warning"', warning)
                    _add(lines, name, f'{of_media},level="critical"', critical)

    def _add_stats(self, lines: Lines, labels: str, stats: QueueStats) -> None:
        groups: list[tuple[str, QueueStats | MediaStats]] = [
            (_with_media(labels, media), group) for media, group in (stats.media or {}).items()
        ]
        for of_group, group in groups or [(labels, stats)]:
            _add(lines, "today_offered", of_group, group.offered)
            _add(lines, "today_answered", of_group, group.answered)
            _add(lines, "today_abandoned", of_group, group.abandoned)
            _add(lines, "today_service_level_ratio", of_group, group.service_level.ratio)
            _add(lines, "today_service_level_target_ratio", of_group, group.service_level.target)
            _add(lines, "today_answer_mean_seconds", of_group, group.answer_seconds.mean)
            _add(lines, "today_answer_max_seconds", of_group, group.answer_seconds.max)

    def _labels(self, org: str | None, source: QueueSnapshot | QueueStats) -> str:
        """The queue's labels; one that is not known is left out, which to Prometheus is the empty one."""
        key = (org, source.queue_id, source.queue_name, source.division)
        labels = self._known.get(key)
        if labels is None:
            if len(self._known) >= MOST_LABELS:
                self._known.clear()
            named = zip(("org", "queue_id", "queue_name", "division"), key, strict=True)
            labels = self._known[key] = ",".join(
                f'{name}="{_escaped(self._mask(value))}"' for name, value in named if isinstance(value, str)
            )
        return labels


def _add(lines: Lines, name: str, labels: str, value: float | UnsetType | None) -> None:
    """One sample; none where the value is not known."""
    if value is not None and value is not UNSET:
        lines[name].append(f"genesys_queue_{name}{{{labels}}} {value}\n")


def _with_media(labels: str, media: str) -> str:
    return f'{labels},media="{_escaped(media)}"'


def _move(lines: Lines, families: dict[str, bytearray]) -> None:
    """Move the lines to the bytes of their families."""
    for name, of_family in lines.items():
        if of_family:
            # A lone surrogate must not cost the whole answer.
            families[name] += "".join(of_family).encode(errors="replace")
            of_family.clear()


def _escaped(value: str) -> str:
    """`value` as the text format quotes a label."""
    if value.isalnum():
        return value
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
