"""What happened today in queues: the conversation aggregates query and its answer as QueueStats (facts, 13)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from queuetick.clock import utc
from queuetick.events import MediaStats, Queue, QueueStats, ServiceLevel, Spread
from queuetick.genesys.answers import read_items, read_object
from queuetick.genesys.own_names import media_name

PATH = "/api/v2/analytics/conversations/aggregates/query"
PERMISSION = "analytics:conversationAggregate:view"

MAX_QUEUES = 100
"""Queues a request; 200 are unproven."""

METRICS = (
    "nOffered",
    "tAnswered",
    "tAbandon",
    "tShortAbandon",
    "tFlowOut",
    "nTransferred",
    "tWait",
    "oServiceLevel",
)

_ADDED_UP = ("count", "sum", "max", "numerator", "denominator")
"""Statistics of which a part that is left out makes the whole unknown."""

MOST = 1e15
"""Contacts or milliseconds; a larger number is not believed."""


class Window(Struct, frozen=True):
    """The time that is asked for, in epoch seconds."""

    start: float
    end: float


def today(timezone: str, now: float) -> Window:
    """The day of `now` (epoch seconds) in `timezone`, from midnight to midnight: 23 or 25 hours when clocks change."""
    zone = ZoneInfo(timezone)
    date = datetime.fromtimestamp(now, zone).date()
    midnights = (datetime.combine(day, time.min, zone) for day in (date, date + timedelta(days=1)))
    return Window(*(midnight.timestamp() for midnight in midnights))


def body(queue_ids: Iterable[str], window: Window) -> str:
    """The query for the whole `window`, by queue and medium."""
    predicates = [{"type": "dimension", "dimension": "queueId", "value": queue_id} for queue_id in queue_ids]
    query = {
        "interval": f"{utc(window.start)}/{utc(window.end)}",
        "groupBy": ["queueId", "mediaType"],
        "filter": {"type": "and", "clauses": [{"type": "or", "predicates": predicates}]},
        "metrics": METRICS,
    }
    return msgspec.json.encode(query).decode()


def read(
    data: bytes, queues: Sequence[Queue], *, cycle: int, scheduled_at: str, window: Window, arrived: float
) -> list[QueueStats]:
    """Read an answer that arrived at `arrived` (epoch seconds): one event for each of `queues`.

    A queue without a group had no contact: its counts are 0. In an answer without `results`, or with a result that
    names no queue and so may be of any, they are null. So are the totals of a queue that may lack the values of such
    a result, because it has no group of that medium. Raises Transient when it is no answer.
    """
    answer = read_object(data)
    found: dict[str, dict[str, _Sums]] = {}
    complete = answer.get("results") is not None
    unowned = set()
    for group in read_items(answer, "results"):
        key = group.get("group")
        key = key if isinstance(key, dict) else {}
        queue_id, medium = key.get("queueId"), key.get("mediaType")
        name = "" if medium is None else media_name(str(medium))
        if isinstance(queue_id, str) and queue_id:
            found.setdefault(queue_id.lower(), {})[name] = _Sums.of(group.get("data"))
            continue
        complete = False
        if group.get("data"):
            unowned.add(name)
    start, end, observed_at = utc(window.start), utc(window.end), utc(arrived)
    events = []
    for queue in queues:
        media = found.get(queue.id, {})
        known = unowned <= media.keys() if media else complete
        if "" in media and len(media) > 1:  # the values of a medium that is not named, or of all
            del media[""]
            known = False
        whole = _Sums.total(list(media.values())) if known else _Sums(None)
        media.pop("", None)
        events.append(
            QueueStats(
                cycle=cycle,
                scheduled_at=scheduled_at,
                **queue.labels(),
                interval_start=start,
                interval_end=end,
                **msgspec.structs.asdict(whole.stats()),
                media={medium: sums.stats() for medium, sums in media.items()},
                observed_at=observed_at,
            )
        )
    return events


class _Sums:
    """The values of one group: by metric and statistic, added up over its intervals; None when it has none."""

    def __init__(self, values: dict[tuple[str, str], float | None] | None) -> None:
        self.values = values

    @classmethod
    def of(cls, data: Any) -> _Sums:
        """Read a group's `data`. What a metric that is named leaves out is not known; nor is any metric in an interval,
        or an item, of another shape.
        """
        intervals = data if isinstance(data, list) else [None]
        sums = cls({})
        for interval in intervals:
            metrics = interval.get("metrics") if isinstance(interval, dict) else None
            if not isinstance(metrics, list):
                return cls(None)
            for item in metrics:
                if not isinstance(item, dict) or not isinstance(metric := item.get("metric"), str):
                    return cls(None)
                stats = item.get("stats")
                known = stats if isinstance(stats, dict) else {}
                for statistic, value in {**dict.fromkeys(_ADDED_UP), **known}.items():
                    sums.add((metric, statistic), _number(value))
        return sums

    @classmethod
    def total(cls, parts: Sequence[_Sums]) -> _Sums:
        """All parts together. A part without values makes the total unknown."""
        if len(parts) == 1:
            return parts[0]
        total = cls({})
        for part in parts:
            if part.values is None:
                return part
            for key, value in part.values.items():
                if key != ("oServiceLevel", "ratio"):
                    total.add(key, value)
        return total

    def add(self, key: tuple[str, str], value: float | None) -> None:
        """Add a value to what is known of it: the largest `max`, one `target` and `ratio`, the sum of all else."""
        assert self.values is not None  # noqa: S101 - only called while values are collected
        before = self.values.get(key, value if key[1] in {"max", "target", "ratio"} else 0)
        if before is None or value is None:
            self.values[key] = None
        elif key[1] == "max":
            self.values[key] = max(before, value)
        elif key[1] in {"target", "ratio"}:
            self.values[key] = value if value == before else None
        else:
            self.values[key] = before + value

    def stats(self) -> MediaStats:
        """The values as they are written: counts, seconds, and the API's own service level."""
        values = self.values
        return MediaStats(
            offered=_count(values, "nOffered"),
            answered=_count(values, "tAnswered"),
            abandoned=_count(values, "tAbandon"),
            abandoned_short=_count(values, "tShortAbandon"),
            flowed_out=_count(values, "tFlowOut"),
            transferred=_count(values, "nTransferred"),
            answer_seconds=_spread(values or {}, "tAnswered"),
            wait_seconds=_spread(values or {}, "tWait"),
            service_level=_service_level(values or {}),
        )


def _count(values: Mapping[tuple[str, str], float | None] | None, metric: str) -> int | None:
    """A metric that is absent did not occur."""
    value = None if values is None else values.get((metric, "count"), 0)
    return None if value is None else int(value)


def _spread(values: Mapping[tuple[str, str], float | None], metric: str) -> Spread:
    """Milliseconds as seconds; the API gives no mean."""
    total, count, most = (values.get((metric, statistic)) for statistic in ("sum", "count", "max"))
    return Spread(
        mean=round(total / count / 1000, 1) if total is not None and count else None,
        max=round(most / 1000, 1) if most is not None else None,
    )


def _service_level(values: Mapping[tuple[str, str], float | None]) -> ServiceLevel:
    """The API's own; over several media its numerators and denominators added up, and their ratio."""
    ratio, numerator, denominator, target = (
        values.get(("oServiceLevel", statistic))
        for statistic in ("ratio", "numerator", "denominator", "target")
    )
    if ("oServiceLevel", "ratio") not in values and numerator is not None and denominator:
        ratio = round(numerator / denominator, 4)
    return ServiceLevel(ratio=ratio, numerator=numerator, denominator=denominator, target=target)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= MOST else None
