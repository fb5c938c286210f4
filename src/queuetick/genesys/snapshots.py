"""The groups of an observations answer as snapshots (facts, 1.2 to 1.5, and 12)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType

from queuetick.events import MediaCounts, Queue, QueueSnapshot
from queuetick.genesys.answers import Datum, Stats
from queuetick.genesys.own_names import (
    KNOWN_MEDIA,
    KNOWN_STATUSES,
    UNKNOWN_PRESENCE,
    media_name,
    status_name,
)

EARLIEST, LATEST = 2**40, 2**53
"""Epoch milliseconds between which an instant is believed; the first is in 2004, so that seconds are not."""

_ON_QUEUE_STATUSES = ("IDLE", "INTERACTING", "COMMUNICATING", "NOT_RESPONDING")
_ON_QUEUE_NAMES = tuple(KNOWN_STATUSES[status] for status in _ON_QUEUE_STATUSES)

Group = tuple[str | None, Sequence[Datum]]
"""A queue's values for one media type, or for none."""


class Moment(Struct, frozen=True):
    """When an answer arrived, in epoch seconds and as text, and for which cycle."""

    cycle: int
    scheduled_at: str
    arrived: float
    observed_at: str


_Conversations = tuple[int | None, int | None, int | None]
"""How many wait, interact and alert."""


class _Users(Struct, gc=False):
    """What a queue's own group says, the one without a media type; `conversations` are those that some keep there."""

    available: int | None = None
    on_queue: int | None = None
    by_status: dict[str, int | None] | None = None
    by_presence: dict[str, int | None] | None = None
    members: int | None = None
    joined: int | None = None
    conversations: _Conversations | None = None


_NO_USERS = _Users()
_NO_STATS = Stats()
"""Of a metric that is named without a value: it is not known, which is not zero."""

_CONVERSATIONS = ("oWaiting", "oInteracting", "oAlerting")
_INSTANTS = ("oLongestWaiting", "oLongestInteracting")


class Reader:
    """Makes the snapshots of one answer."""

    def __init__(
        self,
        moment: Moment,
        presences: Mapping[str, str],
        metrics: Sequence[str],
        unowned: Collection[str | None] = (),
    ) -> None:
        """`presences` names each of the org's presence ids; `metrics` are those that were asked for. `unowned` are the
        media types, where they are known, of groups that name no queue.
        """
        self._moment = moment
        self._presences = presences
        self._unowned = {medium and media_name(medium) for medium in unowned}
        self._on_queue_asked = "oOnQueueUsers" in metrics

    def snapshot(self, groups: Sequence[Group], queue: Queue) -> QueueSnapshot:
        """Make one queue's snapshot from its groups; sums leave out media that do not give a metric.

        What comes twice counts once, with its last value. A sum is null where a part is no count, or may be in a group
        that names no queue or no media type.
        """
        moment = self._moment
        media: dict[str, MediaCounts] = {}
        users: _Users | None = None
        unreadable: set[str] = set()
        waiting = interacting = alerting = longest_wait = longest_interaction = None
        for media_type, data in groups:
            name = None if media_type is None else KNOWN_MEDIA.get(media_type) or media_name(media_type)
            if name in media or (name is None and users is not None):
                return self.snapshot(_merged(groups), queue)
            if name is None:
                users = self._users(data)
                continue
            counts = media[name] = _medium(data, moment.arrived, unreadable)
            if counts.waiting is not None:
                waiting = counts.waiting + (waiting or 0)
            if counts.interacting is not None:
                interacting = counts.interacting + (interacting or 0)
            if counts.alerting is not None:
                alerting = counts.alerting + (alerting or 0)
            if counts.longest_wait_seconds is not UNSET:
                longest_wait = max(longest_wait or 0.0, counts.longest_wait_seconds)
            if counts.longest_interaction_seconds is not UNSET:
                longest_interaction = max(longest_interaction or 0.0, counts.longest_interaction_seconds)
        if users is None:
            users = _NO_USERS
        own, sums = users.conversations, (waiting, interacting, alerting)
        over_target = _over_target(queue, media) if queue.wait_targets else None
        if own is not None and not media:
            waiting, interacting, alerting = own
        elif media and self._lacks_a_part(media, own, sums):
            waiting = interacting = alerting = longest_wait = longest_interaction = None
            over_target = over_target or None
        if unreadable:
            waiting = None if "oWaiting" in unreadable else waiting
            interacting = None if "oInteracting" in unreadable else interacting
            alerting = None if "oAlerting" in unreadable else alerting
            longest_wait = None if "oLongestWaiting" in unreadable else longest_wait
            longest_interaction = None if "oLongestInteracting" in unreadable else longest_interaction
        return QueueSnapshot(
            cycle=moment.cycle,
            scheduled_at=moment.scheduled_at,
            queue_id=queue.id,
            queue_name=UNSET if queue.name is None else queue.name,
            division=UNSET if queue.division is None else queue.division,
            waiting=waiting,
            agents_available=users.available,
            interacting=interacting,
            alerting=alerting,
            longest_wait_seconds=None if waiting == 0 else longest_wait,
            longest_interaction_seconds=None if interacting == 0 else longest_interaction,
            over_target=over_target,
            agents_on_queue=users.on_queue,
            agents_by_status=users.by_status,
            off_queue_by_presence=users.by_presence,
            members=users.members,
            members_joined=users.joined,
            media=media or None,
            observed_at=moment.observed_at,
        )

    def _lacks_a_part(
        self, media: Mapping[str, MediaCounts], own: _Conversations | None, sums: _Conversations
    ) -> bool:
        """Whether conversations may be in a group of no queue, or of no medium: the queue's `own`, unlike `sums`."""
        if not self._unowned <= media.keys():
            return True
        return own is not None and any(
            count not in (None, total) for count, total in zip(own, sums, strict=True)
        )

    def _users(self, data: Iterable[Datum]) -> _Users:  # noqa: PLR0912, PLR0915 - one pass over all it says
        """Read agents on queue in all, idle among them, by routing status and by presence; members.

        A status with nobody in it is left out by the API (facts, 1.3): in a group that came, absent means 0; but not
        where a value does not say of which metric or status it is. A metric that was not asked for stays null.
        """
        users = _Users()
        by_status: dict[str, int | None] = {}
        elsewhere: dict[str, int | None] = {}
        by_presence: dict[str, int | None] = {}
        routing_said = False
        on_queue_absent: int | None = 0
        off_queue_absent: int | None = 0
        conversations = False
        for datum in data:
            stats = datum.stats or _NO_STATS
            metric, qualifier = datum.metric, datum.qualifier
            if metric == "oOnQueueUsers":
                if qualifier is not None:
                    by_status[KNOWN_STATUSES.get(qualifier) or status_name(qualifier)] = stats.count
                elif stats.count != 0:
                    on_queue_absent = None
            elif metric == "oUserRoutingStatuses":
                routing_said = True
                if qualifier is None:
                    off_queue_absent = None if stats.count != 0 else off_queue_absent
                elif qualifier not in _ON_QUEUE_STATUSES:
                    elsewhere[KNOWN_STATUSES.get(qualifier) or status_name(qualifier)] = stats.count
            elif metric == "oOffQueueUsers":
                if qualifier is not None:
                    by_presence[qualifier] = stats.count
            elif metric is None:
                on_queue_absent = off_queue_absent = None
            elif qualifier is not None:
                continue
            elif metric == "oMemberUsers":
                users.members = stats.count
            elif metric == "oActiveUsers":
                users.joined = stats.count
            elif metric in _CONVERSATIONS:
                conversations = True
        if conversations:
            users.conversations = _conversations(data)
            if all(datum.metric in _CONVERSATIONS or datum.metric in _INSTANTS for datum in data):
                on_queue_absent = None  # it says nothing of agents
        if self._on_queue_asked:
            by_status = {**dict.fromkeys(_ON_QUEUE_NAMES, on_queue_absent), **by_status}
            known = [count for count in by_status.values() if count is not None]
            users.on_queue = sum(known) if len(known) == len(by_status) else None
            users.available = by_status["idle"]
        else:
            by_status = {}
        for name, count in elsewhere.items():
            by_status.setdefault(name, count)
        # Absent among statuses that were given means nobody; with no status given at all it is not known.
        said = routing_said or users.members == 0
        by_status.setdefault("off_queue", off_queue_absent if said else None)
        users.by_status = by_status
        if by_presence or by_status["off_queue"] == 0:
            users.by_presence = self._off_queue(by_presence)
        return users

    def _off_queue(self, by_id: Mapping[str, int | None]) -> dict[str, int | None]:
        """Off-queue members by system presence, from the counts by the org's presence id."""
        found: dict[str, int | None] = {}
        for presence_id, count in by_id.items():
            name = self._presences.get(presence_id.lower(), UNKNOWN_PRESENCE)
            before = found.get(name, 0)
            found[name] = None if before is None or count is None else before + count
        return found


def _medium(data: Iterable[Datum], arrived: float, unreadable: set[str]) -> MediaCounts:  # noqa: PLR0912
    """One media type's values; a metric whose value is no count, or no instant though somebody waits, is added to
    `unreadable`, and so is an absent one where a value does not say of which metric it is.

    The innermost loop of the program (four values, for each media type of each queue, each cycle): no detours.
    """
    waiting: int | UnsetType | None = UNSET
    interacting: int | UnsetType | None = UNSET
    alerting: int | UnsetType | None = UNSET
    absent: UnsetType | None = UNSET
    waiting_since: float | UnsetType | None = UNSET
    interacting_since: float | UnsetType | None = UNSET
    for datum in data:
        stats = datum.stats or _NO_STATS
        metric = datum.metric
        if metric == "oInteracting":
            interacting = stats.count
        elif metric == "oWaiting":
            waiting = stats.count
        elif metric == "oAlerting":
            alerting = stats.count
        elif metric == "oLongestWaiting":
            waiting_since = _began(stats)
        elif metric == "oLongestInteracting":
            interacting_since = _began(stats)
        elif metric is None:
            absent = None
    waiting = absent if waiting is UNSET else waiting
    interacting = absent if interacting is UNSET else interacting
    alerting = absent if alerting is UNSET else alerting
    if waiting is None:
        unreadable.add("oWaiting")
    if interacting is None:
        unreadable.add("oInteracting")
    if alerting is None:
        unreadable.add("oAlerting")
    counts = MediaCounts(
        None if waiting is UNSET else waiting,
        None if interacting is UNSET else interacting,
        None if alerting is UNSET else alerting,
    )
    if waiting_since is UNSET:
        waiting_since = absent
    if interacting_since is UNSET:
        interacting_since = absent
    if waiting_since is not UNSET and waiting != 0:
        if waiting_since is None:
            unreadable.add("oLongestWaiting")
        else:
            counts.longest_wait_seconds = _age(waiting_since, arrived)
    if interacting_since is not UNSET and interacting != 0:
        if interacting_since is None:
            unreadable.add("oLongestInteracting")
        else:
            counts.longest_interaction_seconds = _age(interacting_since, arrived)
    return counts


def _conversations(data: Iterable[Datum]) -> _Conversations:
    counts = _medium(data, 0.0, set())
    return counts.waiting, counts.interacting, counts.alerting


def counts_conversations(data: Iterable[Datum]) -> bool:
    """Whether `data` counts conversations, or may: some value does not say of which metric it is."""
    return any(datum.metric is None or datum.metric in _CONVERSATIONS for datum in data)


def _merged(groups: Iterable[Group]) -> list[Group]:
    """One group for each media type, with all that several of its groups say, in their order."""
    merged: dict[str | None, list[Datum]] = {}
    for media_type, data in groups:
        merged.setdefault(media_type, []).extend(data)
    return list(merged.items())


def _began(stats: Stats) -> float | UnsetType | None:
    """Epoch milliseconds when an oLongest* metric began (facts, 1.2: not a duration); UNSET when there is none, None
    when it is no instant.
    """
    if stats.count == 0:
        return UNSET
    began = stats.calculatedMetricValue
    return began if began is not None and EARLIEST < began < LATEST else None


def _age(began: float, arrived: float) -> float:
    age = round(arrived - began / 1000, 1)
    return age if age > 0 else 0.0


def _over_target(queue: Queue, media: Mapping[str, MediaCounts]) -> bool | None:
    """Whether the longest wait of some medium is over its target, which is set there too; None when it is not known.

    A medium that the answer does not name has nobody waiting.
    """
    known: bool | None = False if media else None
    for medium, target in queue.wait_targets:
        counts = media.get(medium)
        if counts is None:
            continue
        counts.wait_target_seconds = target
        longest = counts.longest_wait_seconds
        if longest is not UNSET:
            if longest > target:
                known = True
        elif counts.waiting != 0 and known is False:
            known = None
    return known
