"""The queues' gauges as Prometheus text.

Written out here and not by prometheus_client: for 1,500 queues (30,000 samples) that takes a tenth of the time.
What the API did not say has no sample: absence, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from queuetick.events import MediaStats, QueueSnapshot, QueueStats
from queuetick.events.thresholds import ASYNCHRONOUS, Limits, Threshold, Thresholds

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
        lines: dict[str, list[str]] = {name: [] for name in _HELP}
        if thresholds != self._table:
            self._table, self._thresholds = thresholds, Thresholds(thresholds)
        for number, snapshot in enumerate(snapshots):
            labels = self._labels(org, snapshot)
            self._add_snapshot(lines, labels, snapshot)
            for kind, severity in self._severities(snapshot, now):
                lines["severity"].append(f'genesys_queue_severity{{{labels},kind="{kind}"}} {severity}\n')
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

    def _add_snapshot(self, lines: dict[str, list[str]], labels: str, snapshot: QueueSnapshot) -> None:
        if snapshot.agents_available is not None:
            lines["agents_available"].append(
                f"genesys_queue_agents_available{{{labels}}} {snapshot.agents_available}\n"
            )
        if snapshot.agents_on_queue is not None:
            lines["agents_on_queue"].append(
                f"genesys_queue_agents_on_queue{{{labels}}} {snapshot.agents_on_queue}\n"
            )
        if snapshot.over_target is not None:
            lines["over_target"].append(f"genesys_queue_over_target{{{labels}}} {snapshot.over_target:d}\n")
        waiting, interacting = lines["waiting"], lines["interacting"]
        longest_wait, target = lines["longest_wait_seconds"], lines["wait_target_seconds"]
        if not snapshot.media:
            if snapshot.waiting is not None:
                waiting.append(f"genesys_queue_waiting{{{labels}}} {snapshot.waiting}\n")
            if snapshot.interacting is not None:
                interacting.append(f"genesys_queue_interacting{{{labels}}} {snapshot.interacting}\n")
            if snapshot.longest_wait_seconds is not None:
                longest_wait.append(
                    f"genesys_queue_longest_wait_seconds{{{labels}}} {snapshot.longest_wait_seconds}\n"
                )
            return
        for media, counts in snapshot.media.items():
            of_media = f'{labels},media="{_escaped(media)}"'
            if counts.waiting is not None:
                waiting.append(f"genesys_queue_waiting{{{of_media}}} {counts.waiting}\n")
            if counts.interacting is not None:
                interacting.append(f"genesys_queue_interacting{{{of_media}}} {counts.interacting}\n")
            if counts.longest_wait_seconds is not UNSET:
                longest_wait.append(
                    f"genesys_queue_longest_wait_seconds{{{of_media}}} {counts.longest_wait_seconds}\n"
                )
            if counts.wait_target_seconds is not UNSET:
                target.append(
                    f"genesys_queue_wait_target_seconds{{{of_media}}} {counts.wait_target_seconds}\n"
                )

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

    def _add_limits(
        self, lines: dict[str, list[str]], labels: str, snapshot: QueueSnapshot, now: float
    ) -> None:
        for media in snapshot.media or (None,):
            of_media = labels if media is None else f'{labels},media="{_escaped(media)}"'
            threshold = self._thresholds.counting(snapshot, media, now)
            if threshold is None:
                lines["closed"].append(f"genesys_queue_closed{{{of_media}}} 1\n")
            elif isinstance(threshold, Threshold):
                for name, limits in (
                    ("waiting_limit", threshold.waiting),
                    ("longest_wait_limit_seconds", threshold.longest_wait),
                ):
                    lines[name] += [
                        f'genesys_queue_{name}{{{of_media},level="{level}"}} {limit}\n'
                        for level, limit in _levels(limits)
                    ]

    def _add_stats(self, lines: dict[str, list[str]], labels: str, stats: QueueStats) -> None:
        groups: list[tuple[str, QueueStats | MediaStats]] = [
            (f'{labels},media="{_escaped(media)}"', group) for media, group in (stats.media or {}).items()
        ]
        for of_group, group in groups or [(labels, stats)]:
            for name, value in (
                ("offered", group.offered),
                ("answered", group.answered),
                ("abandoned", group.abandoned),
                ("service_level_ratio", group.service_level.ratio),
                ("service_level_target_ratio", group.service_level.target),
                ("answer_mean_seconds", group.answer_seconds.mean),
                ("answer_max_seconds", group.answer_seconds.max),
            ):
                if value is not None:
                    lines[f"today_{name}"].append(f"genesys_queue_today_{name}{{{of_group}}} {value}\n")

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


def _move(lines: dict[str, list[str]], families: dict[str, bytearray]) -> None:
    """Move the lines to the bytes of their families."""
    for name, of_family in lines.items():
        if of_family:
            # A lone surrogate must not cost the whole answer.
            families[name] += "".join(of_family).encode(errors="replace")
            of_family.clear()


def _levels(limits: Limits | None) -> Iterable[tuple[str, float]]:
    if limits is None:
        return ()
    return (
        zip(("warning", "critical"), limits, strict=True)
        if isinstance(limits, tuple)
        else (("critical", limits),)
    )


def _escaped(value: str) -> str:
    """`value` as the text format quotes a label."""
    if value.isalnum():
        return value
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
