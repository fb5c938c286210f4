"""One queue in full: its agents, media, targets, the day's statistics, an hour of history and its last events."""

from __future__ import annotations

from collections.abc import Mapping

from rich.segment import Segment

from queuetick.events import QueueSnapshot
from queuetick.events.thresholds import Severity
from queuetick.watch import styles
from queuetick.watch.changes import Entry
from queuetick.watch.header import Scene
from queuetick.watch.history import GAP, HISTORY
from queuetick.watch.sentences import percent
from queuetick.watch.state import Row
from queuetick.watch.table import in_words, waits
from queuetick.watch.text import LEVELS, UNKNOWN, age, clean, count, duration, limit, short
from queuetick.watch.view import status

HOUR = 3600.0
LOW = 30
"""Lines below which blank ones and idle media are left out, for the sake of the graph and the events."""
_GRAPH_UNLEARNED = 15.0
"""Seconds; the interval that the graph's axis takes until one is known."""
_MEDIA = (
    f"  {'MEDIUM':<13}{'WAITING':>9}{'LONGEST':>10}{'TARGET':>9}"
    f"{'INTERACTING':>13}{'ALERTING':>10}{'LONGEST TALK':>13}"
)


def lines(row: Row, scene: Scene, width: int, height: int) -> list[styles.Line]:
    """At most `height` lines. The graph and the events share what the numbers leave."""
    low = height < LOW
    found = [*_head(row, scene), *_numbers(row, idle_media=not low), *_today(row)]
    if low:
        found = [line for line in found if line]
    entries = scene.board.events_of(row.key, height)
    graph_rows = min(8, height - len(found) - 5 - min(2 if low else 3, len(entries)))
    if graph_rows >= 2:
        found += graph(row, scene, width, graph_rows)
    left = height - len(found) - 1
    if left > 0:
        found.append([Segment("  LAST EVENTS" if entries else "  no events yet", styles.HEAD)])
        found += [entry_line(entry, scene) for entry in entries[-left:]]
    return found[:height]


def entry_line(entry: Entry, scene: Scene) -> styles.Line:
    """`04:56:38 !! Support EMEA  7 waiting …`, with the org where there are several."""
    line = [
        Segment(f"  {scene.clock(entry.at)} ", styles.DIM),
        Segment(f"{entry.mark:<2} ", entry.style),
    ]
    if len(scene.board.instances) > 1:
        line.append(Segment(f"{clean(entry.org) or '-'}  ", styles.DIM))
    return [*line, *entry.parts(scene.zone)]


def _head(row: Row, scene: Scene) -> list[styles.Line]:
    trouble = status(row, scene.board, scene.as_of)
    style = styles.SEVERE.get(row.severity, styles.BOLD)
    mark = "?" if trouble else styles.MARKS.get(row.severity, "")
    title = [Segment(f"{mark:<3}", styles.UNSURE if trouble else style), Segment(row.name, style)]
    if trouble:
        title.append(Segment(f"  {in_words(trouble, scene.now)}", styles.UNSURE))
    where = [f"id {clean(row.queue_id)}"]
    where += [f"division {row.division}"] if row.division else []
    where += [f"org {clean(row.org)}"] if row.org else []
    if row.snapshot is not None:
        where.append(f"cycle {row.snapshot.cycle}, {scene.clock(row.at)}, {age(scene.now - row.at)} ago")
    return [title, [Segment(f"   {'  '.join(where)}", styles.DIM)], []]


def _numbers(row: Row, *, idle_media: bool) -> list[styles.Line]:
    latest = row.latest
    if latest is None:
        return [[Segment("   no numbers are known", styles.DIM)], []]
    grade = row.grade
    of = "target" if grade.is_target else "limit"
    graded = "" if grade.limit is None else f"  {short(grade.wait)} ({of} {limit(grade.limit)})"
    of_all = latest.longest_wait_seconds
    longest_of_all = "" if graded and grade.wait == of_all else f"  longest {duration(of_all)}"
    loud = styles.SEVERE.get(row.severity, styles.BOLD)
    found: list[styles.Line] = [
        [
            Segment(f"   {count(latest.waiting)} waiting", loud),
            Segment(graded, loud if grade.longest_wait >= Severity.WARN else styles.PLAIN),
            Segment(longest_of_all, styles.PLAIN),
            Segment(
                f"  {count(latest.interacting)} interacting  {count(latest.alerting)} alerting", styles.PLAIN
            ),
            Segment(f"  longest talk {duration(latest.longest_interaction_seconds)}", styles.PLAIN),
        ],
        [Segment(f"   {_agents(latest)}", styles.PLAIN)],
        [Segment(f"   {_presences(latest)}", styles.PLAIN)],
        [],
    ]
    if latest.media:
        found.append([Segment(_MEDIA, styles.HEAD)])
        for name, counts in sorted(latest.media.items(), key=lambda item: (-(item[1].waiting or 0), item[0])):
            if not (idle_media or counts.waiting or counts.interacting or counts.alerting):
                continue
            times = (counts.longest_wait_seconds, counts.longest_interaction_seconds)
            longest, talk = (duration(one) if isinstance(one, int | float) else UNKNOWN for one in times)
            target = counts.wait_target_seconds
            over = (
                isinstance(target, int | float)
                and isinstance(counts.longest_wait_seconds, int | float)
                and counts.longest_wait_seconds > target
            )
            said = limit(target) if isinstance(target, int | float) else UNKNOWN
            text = f"{count(counts.waiting):>9}{longest:>10}{said:>9}{count(counts.interacting):>13}"
            style = styles.WARN if over and counts.waiting else styles.PLAIN if counts.waiting else styles.DIM
            found.append(
                [
                    Segment(f"   {styles.fit(clean(name), 12)}{text}", style),
                    Segment(f"{count(counts.alerting):>10}{talk:>13}", styles.DIM),
                ]
            )
        found.append([])
    return found


def _agents(latest: QueueSnapshot) -> str:
    """`members 28, joined 20, on queue 10, free 0: interacting 9  alerting 1`; a status that nobody has is left out."""
    counts = {
        "members": latest.members,
        "joined": latest.members_joined,
        "on queue": latest.agents_on_queue,
        "free": latest.agents_available,
    }
    agents = ", ".join(f"{name} {count(number)}" for name, number in counts.items())
    on_queue = {
        name: number for name, number in (latest.agents_by_status or {}).items() if name != "off_queue"
    }
    split = _split(on_queue)
    return f"{agents}: {split}" if split else agents


def _presences(latest: QueueSnapshot) -> str:
    """`off queue 18: offline 5  available 3`, the most first."""
    off = latest.off_queue_by_presence
    if off is None:
        return f"off queue by presence {UNKNOWN}"
    known = [number for number in off.values() if number is not None]
    total = count(sum(known) if len(known) == len(off) else None)
    return f"off queue {total}: {_split(off) or 'nobody'}"


def _split(numbers: Mapping[str, int | None]) -> str:
    """Numbers by name, the most first; zeros are left out."""
    found = sorted(numbers.items(), key=lambda item: -(item[1] or 0))
    return "  ".join(
        f"{clean(name).replace('_', ' ')} {count(number)}" for name, number in found if number != 0
    )


def _today(row: Row) -> list[styles.Line]:
    stats = row.stats
    if stats is None:
        return []
    level = stats.service_level
    parts = [
        f"{count(stats.offered)} offered",
        f"{count(stats.answered)} answered",
        f"{count(stats.abandoned)} abandoned ({count(stats.abandoned_short)} short)",
        f"{count(stats.flowed_out)} flowed out",
    ]
    more = [
        f"service level {percent(level.ratio if level else None)} (target {percent(level.target if level else None)})"
    ]
    for name, spread in (("answer", stats.answer_seconds), ("wait", stats.wait_seconds)):
        if spread is not None:
            more.append(f"{name} mean {short(spread.mean)} max {short(spread.max)}")
    more.append(f"{count(stats.transferred)} transferred")
    return [
        [Segment("  TODAY  ", styles.HEAD), Segment(f"  {'  '.join(parts)}", styles.PLAIN)],
        [Segment(f"           {'  '.join(more)}", styles.PLAIN)],
        [],
    ]


def graph(row: Row, scene: Scene, width: int, rows: int) -> list[styles.Line]:
    """Waiting contacts over the last hour, or what is known of it: `rows` lines and two of words."""
    instance = scene.board.instances[row.org]
    interval = instance.interval or _GRAPH_UNLEARNED
    cycles = min(HISTORY, max(10, round(HOUR / interval)))
    values = waits(row, scene.board, cycles)
    columns = max(10, min(width - 10, cycles))
    buckets = [
        values[place * cycles // columns : (place + 1) * cycles // columns] for place in range(columns)
    ]
    tops = [max(bucket, default=GAP) for bucket in buckets]
    top = max(1, *tops)
    found: list[styles.Line] = [
        [Segment(f"  WAITING, THE LAST {round(cycles * interval / 60)} MINUTES", styles.HEAD)]
    ]
    steps = len(LEVELS)
    for line in range(rows, 0, -1):
        text = ""
        for value in tops:
            eighths = round(max(value, 0) / top * rows * steps)
            full = eighths - (line - 1) * steps
            if line == 1 and value < 0:
                text += "·"
            elif line == 1 and value == 0:
                text += LEVELS[0]
            else:
                text += " " if full <= 0 else LEVELS[min(full, steps) - 1]
        label = count(top) if line == rows else "0" if line == 1 else ""
        found.append([Segment(f"{label:>7} ", styles.DIM), Segment(text, styles.TREND)])
    newest = max(scene.board.newest_at, 0.0)
    axis = f"{scene.clock(newest - cycles * interval)}".ljust(columns - 9) + scene.clock(newest).rjust(9)
    return [*found, [Segment(f"        {axis}", styles.DIM)], []]
