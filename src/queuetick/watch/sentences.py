"""Every operational event in words: for tail, for the events of watch and for a queue's detail."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from queuetick import events
from queuetick.watch.lines import said
from queuetick.watch.text import UNKNOWN, clean, clock_time_of, short, value, words

_MOST_NAMES = 4
"""Queues that a sentence names."""


def sentence(fact: events.Fact, zone: tzinfo | None) -> str:  # noqa: PLR0912  # one case for each event
    """One line about an operational event. Times of day are in `zone`; None is local time."""
    match fact:
        case events.DaemonStarted():
            return _started(fact)
        case events.DaemonStopped():
            return words(f"queuetick stopped after {_seconds(fact.uptime_seconds)}:", fact.reason)
        case events.CycleReport():
            return _report(fact)
        case events.CycleSkipped():
            until = f"until {clock_time_of(fact.until, zone)}" if fact.until else ""
            ticks = f"({value(fact.ticks)} cycles)" if fact.ticks != 1 else ""
            return words(f"cycle {value(fact.cycle)} skipped:", fact.reason, until, ticks)
        case events.CycleCrashed():
            return words(f"cycle {value(fact.cycle)} crashed, a defect of queuetick:", fact.error)
        case events.BatchFailed():
            reason = words(fact.status, fact.code, fact.reason)
            return f"batch {value(fact.batch)} failed: {reason}; no numbers of {_names(fact)}"
        case events.QueueMissing():
            return words(f"{_queue(fact)} is missing:", fact.reason or "not in the answer")
        case events.QueueInvalid():
            lacks = f"(permission {value(fact.permission)})" if said(fact.permission) else ""
            return words(f"{_queue(fact)} is refused by the API:", fact.status, fact.code, fact.reason, lacks)
        case events.QueueRecovered():
            return f"{_queue(fact)} is answered again, {value(fact.was)} for {value(fact.cycles)} cycles"
        case events.QueuesRefreshed():
            changes = (
                f"{value(fact.added)} added, {value(fact.removed)} removed, {value(fact.renamed)} renamed"
            )
            return f"{value(fact.total)} queues are polled: {changes}"
        case events.QueuesRefreshFailed():
            return words("the list of queues was not read:", fact.status, fact.code, fact.reason)
        case events.QueuesNoneSelected():
            return words("NO QUEUES ARE POLLED:", fact.reason)
        case events.MetricRefused():
            return words(f"the API refuses {value(fact.metric)}:", fact.status, fact.code, fact.reason)
        case events.StatsFailed():
            return words("no statistics of today:", fact.status, fact.code, fact.reason)
        case events.StatsRecovered():
            return f"statistics of today are answered again after {_seconds(fact.outage_seconds)}"
        case events.RateLimitPaused():
            until = f"until {clock_time_of(fact.until, zone)}" if fact.until else ""
            return words(f"RATE LIMIT on {value(fact.route)}: paused", until, f"({value(fact.source)})")
        case events.RateLimitResumed():
            return f"rate limit on {value(fact.route)}: the pause is over"
        case events.IntervalStretched() | events.IntervalRestored():
            done = "stretched" if isinstance(fact, events.IntervalStretched) else "restored"
            return words(f"interval {done} from {value(fact.from_)} s to {value(fact.to)} s:", fact.why)
        case events.ApiLost():
            return words("API LOST:", fact.status, fact.code, fact.reason)
        case events.ApiRecovered():
            return f"the API answers again after {_seconds(fact.outage_seconds)}, {value(fact.cycles)} cycles"
        case events.TokenRenewed():
            return (
                f"access token renewed ({value(fact.reason)}), valid for {_seconds(fact.expires_in_seconds)}"
            )
        case events.ConfigReloaded():
            return f"configuration reloaded: {_list(fact.changed) or 'nothing changed'}"
        case events.ConfigRejected():
            problems = [words(f"{value(one.key)}:", one.problem) for one in fact.problems or ()]
            return words("configuration rejected, the old one is still in force:", _list(problems))
        case events.ConfigWarning():
            return words(f"{value(fact.key)}:", fact.problem, fact.fix and f"(fix: {clean(fact.fix)})")
        case events.OutputRecovered():
            lost = f"{value(fact.lines_dropped)} lines lost" if fact.lines_dropped else "no line lost"
            return words(f"output works again after {_seconds(fact.seconds)}, {lost}:", fact.reason)
        case events.LogMessage():
            return words(f"{value(fact.logger)}:", fact.message)
        case events.QueueStats():
            return _stats(fact)
    return clean(fact.__struct_config__.tag)


def _started(fact: events.DaemonStarted) -> str:
    config: Any = fact.config
    poll = config.get("poll") if isinstance(config, dict) else None
    interval = poll.get("interval") if isinstance(poll, dict) else None
    queues = f"{fact.queues:,} queues" if isinstance(fact.queues, int) else "queues not yet known"
    every = f", every {value(interval)} s" if interval is not None else ""
    budget = fact.requests_per_minute
    sums = f", {value(budget.needed)} of {value(budget.allowed)} requests a minute" if budget else ""
    return f"queuetick {value(fact.version)} started: {queues}{every}{sums}"


def _report(fact: events.CycleReport) -> str:
    answered = None if fact.snapshots is None else fact.snapshots + (fact.unchanged or 0)
    parts = [f"{value(answered)} of {value(fact.queues)} queues answered"]
    troubles = ("missing", "invalid", "failed", "deferred")
    parts += [f"{number:,} {name}" for name in troubles if (number := getattr(fact, name))]
    return (
        f"cycle {fact.cycle} {clean(fact.outcome)}: {', '.join(parts)}, in {value(fact.duration_seconds)} s"
    )


def _stats(fact: events.QueueStats) -> str:
    level = fact.service_level.ratio if fact.service_level else None
    parts = [f"{value(getattr(fact, name))} {name}" for name in ("offered", "answered", "abandoned")]
    return f"{_queue(fact)}  today {', '.join(parts)}, service level {percent(level)}"


def percent(ratio: float | None) -> str:
    """A ratio of 0 to 1 in per cent."""
    return UNKNOWN if ratio is None else f"{ratio:.0%}"


def _names(fact: events.BatchFailed) -> str:
    names = fact.queue_names or fact.queue_ids or []
    more = max(len(fact.queue_ids or ()), len(names)) - _MOST_NAMES
    return _list(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _queue(
    fact: events.QueueMissing | events.QueueInvalid | events.QueueRecovered | events.QueueStats,
) -> str:
    return clean(said(fact.queue_name) or fact.queue_id)


def _list(parts: list[str] | None) -> str:
    return ", ".join(clean(part) for part in parts or ())


def _seconds(span: object) -> str:
    return short(span) if isinstance(span, int | float) else UNKNOWN
