"""The contact centre: every queue with its model, and its true numbers at an instant."""

import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from queuetick.simulator.arrivals import MEDIA, draw_profile, draw_targets
from queuetick.simulator.ledger import Account, Tally
from queuetick.simulator.names import MAX_QUEUES, Division, divisions, queue_name, stable_uuid
from queuetick.simulator.queue_model import QueueModel

MAX_ACCOUNTS = 3
"""Accounts kept of a queue: as many clients may have a midnight of their own at the price of one replay."""

ON_QUEUE_PRESENCE = "e08eaf1b-ee47-4fa9-a231-1200e284798f"
# (presence id, system presence, weight among the off-queue members). An organization adds ids of its
# own beside the default ones: two here also mean BREAK and MEAL, and one is in no mapping at all.
_OFF_QUEUE_PRESENCES = (
    ("6a3af858-942f-489d-9700-5f9bcdcdae9b", "AVAILABLE", 16),
    ("31fe3bac-dea6-44b7-bed7-47f91660a1a0", "BUSY", 9),
    ("3fd96123-badb-4f69-bc03-1b1ccc6d8014", "MEAL", 10),
    ("d1f2a0c4-7f63-4d0b-9a0e-5c2b8e6f4a27", "MEAL", 3),
    ("227b37e2-f1d0-4dd0-8f50-badd7cf6d158", "BREAK", 11),
    ("b2f3c1de-7d1e-4c55-8c6d-0d6f0a3c9a11", "BREAK", 4),
    ("e7a5c6b0-3d0d-4f0e-8f5e-0a3f1c9b7d52", "MEETING", 8),
    ("9f0c2a4e-64f1-4b9b-8a55-2f7d3e1c6b83", "TRAINING", 4),
    ("c4b8d7f6-1a2b-4c3d-9e4f-5a6b7c8d9e04", "AWAY", 5),
    ("0d7e5f3a-98b1-4a6c-b2d4-6e8f1a3c5d75", None, 2),
    ("ccf3c10a-aa2c-4845-8e8d-f59fa48c58e5", "OFFLINE", 28),
)
_WEIGHTS = sum(weight for _, _, weight in _OFF_QUEUE_PRESENCES)


def presence_mappings() -> dict[str, list[str]]:
    """`systemToOrganizationMappings`: system presence to the organization's presence ids."""
    mappings = {"ON_QUEUE": [ON_QUEUE_PRESENCE]}
    for presence_id, system, _ in _OFF_QUEUE_PRESENCES:
        if system is not None:
            mappings.setdefault(system, []).append(presence_id)
    return mappings


def off_queue_presences(count: int) -> Iterator[tuple[str, int]]:
    """Split off-queue members over presence ids; the counts sum to `count`, none is zero."""
    weight = before = 0
    for presence_id, _, share in _OFF_QUEUE_PRESENCES:
        weight += share
        until = (count * weight + _WEIGHTS // 2) // _WEIGHTS
        if until > before:
            yield presence_id, until - before
        before = until


def off_queue_by_system(count: int) -> dict[str, int]:
    """Off-queue members by system presence in lower case; `unknown` for the id without a mapping."""
    counts = dict(off_queue_presences(count))
    systems: dict[str, int] = {}
    for presence_id, system, _ in _OFF_QUEUE_PRESENCES:
        if presence_id in counts:
            name = system.lower() if system is not None else "unknown"
            systems[name] = systems.get(name, 0) + counts[presence_id]
    return systems


@dataclass(slots=True)
class Queue:
    """One queue as `GET /api/v2/routing/queues` lists it."""

    id: str
    name: str
    division: Division
    model: QueueModel
    accounts: dict[float, Account] = field(default_factory=dict)
    """By the instant they begin: kept, since clients ask for the same one again and again."""
    rendered: tuple[object, int, bytes] | None = None
    """Last observation groups: what was asked for, the model's version, the JSON."""

    @property
    def division_id(self) -> str:
        return self.division.id

    @property
    def division_name(self) -> str:
        return self.division.name

    @property
    def targets(self) -> dict[str, dict[str, float]]:
        """Service level by medium, in the API's fields; drawn at each request, since few ask."""
        return draw_targets(self.model.seed, self.model.profile.index)

    def account(self, since: float, until: float) -> Account:
        """The account since an instant, at another one (epoch seconds); empty before it has begun."""
        until = max(since, until)
        account = kept = self.accounts.get(since)
        if account is None or account.now > until:
            account = Account(self.model.seed, self.model.profile, self.targets, since)
            if kept is None:
                if len(self.accounts) >= MAX_ACCOUNTS:
                    del self.accounts[next(iter(self.accounts))]
                self.accounts[since] = account
        account.advance(until)
        return account


def on_queue_statuses(model: QueueModel) -> Iterator[tuple[str, int]]:
    """On-queue agents by routing status."""
    yield "IDLE", model.idle
    yield "INTERACTING", model.busy
    yield "COMMUNICATING", model.communicating
    yield "NOT_RESPONDING", model.not_responding


class ContactCentre:
    """All queues of one organization. Every method may be called from any thread."""

    def __init__(self, seed: int, queues: int, utc_offset: float | None = None, trouble: float = 0.0) -> None:
        """`utc_offset` (hours) puts every queue into one time zone; None: each division into its own.

        `trouble` is the share of queues (0 to 1) that lack staff.
        """
        if not 1 <= queues <= MAX_QUEUES:
            raise ValueError(f"queues must be between 1 and {MAX_QUEUES}, not {queues}")
        if not 0 <= trouble <= 1:
            raise ValueError(f"trouble must be between 0 and 1, not {trouble}")
        self.seed = seed
        self._utc_offset = utc_offset
        self._trouble = trouble
        self.divisions = divisions(seed)
        self._lock = threading.RLock()
        self._queues: dict[str, Queue] = {}
        self._names: set[str] = set()
        self._drawn = 0
        for _ in range(queues):
            self.add()
        self._initial = [(queue, queue.name) for queue in self._queues.values()]

    def restore(self) -> None:
        """Undo every addition, removal and renaming of queues; their replayed state stays."""
        with self._lock:
            for queue, name in self._initial:
                queue.name = name
                queue.accounts.clear()
            self._queues = {queue.id: queue for queue, _ in self._initial}
            self._names = {name for _, name in self._initial}
            self._drawn = len(self._initial)

    def add(self, name: str | None = None) -> Queue:
        with self._lock:
            index = self._drawn
            self._drawn += 1
            rng = random.Random(f"{self.seed}/queue/{index}")  # noqa: S311 - chance, not secrecy
            # The first queues are in one division each, so that a few queues show many divisions.
            division = self.divisions[index] if index < len(self.divisions) else rng.choice(self.divisions)
            offset = division.utc_offset if self._utc_offset is None else self._utc_offset
            queue = Queue(
                id=stable_uuid(self.seed, "queue", index),
                name=name or queue_name(division, rng, self._names),
                division=division,
                model=QueueModel(self.seed, draw_profile(self.seed, index, offset, self._trouble)),
            )
            self._names.add(queue.name)
            self._queues[queue.id] = queue
            return queue

    def rename(self, queue_id: str, name: str) -> None:
        with self._lock:
            queue = self._queues[queue_id]
            self._names.discard(queue.name)
            queue.name = name
            self._names.add(name)

    def remove(self, queue_id: str) -> None:
        with self._lock:
            self._names.discard(self._queues.pop(queue_id).name)

    @property
    def queues(self) -> list[Queue]:
        with self._lock:
            return list(self._queues.values())

    def get(self, queue_id: str) -> Queue | None:
        return self._queues.get(queue_id)

    @contextmanager
    def held(self, queue_ids: Iterable[str]) -> Iterator[list[Queue]]:
        """Lock the centre; yields the queues that exist among those named."""
        with self._lock:
            yield [queue for each in queue_ids if (queue := self._queues.get(each)) is not None]

    @contextmanager
    def at(self, now: float, queue_ids: Iterable[str]) -> Iterator[list[Queue]]:
        """The same as held(), with the queues advanced to `now`."""
        with self.held(queue_ids) as queues:
            for queue in queues:
                queue.model.advance(now)
            yield queues

    def prepare_accounts(
        self, queue_ids: Iterable[str], since: float, until: float, stopping: threading.Event
    ) -> None:
        """Replay the queues up to `until`, and release the lock between two queues. Ends early at `stopping`."""
        for queue_id in queue_ids:
            if stopping.is_set():
                return
            with self._lock:
                queue = self._queues.get(queue_id)
                if queue is not None:
                    queue.account(since, until)
            # A lock that is taken again at once is not given to the thread that waits for it.
            time.sleep(0.001)

    def truth(
        self, now: float, media_names: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, dict[str, Any]]:
        """The true numbers at an instant, also a past one, by queue id."""
        truth = {}
        for queue in self.queues:
            with self._lock:
                model = queue.model
                if model.now > now:
                    # Use another model for the past: the queue's own is needed for the present.
                    model = QueueModel(self.seed, model.profile)
                model.advance(now)
                truth[queue.id] = _true_numbers(model, queue.targets, media_names)
        return truth

    def stats(
        self, since: float, until: float, names: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, dict[str, Any]]:
        """What became until an instant of the contacts offered since another, by queue id."""
        found = {}
        for queue in self.queues:
            with self._lock:
                numbers = true_stats(queue.account(since, until))
            numbers["media"] = {names.get(media, media): each for media, each in numbers["media"].items()}
            found[queue.id] = numbers
        return found


def true_stats(account: Account) -> dict[str, Any]:
    """The account's numbers under the names of `queue.stats`; durations in milliseconds."""
    everything = Tally()
    for tally in account.tallies.values():
        everything.merge(tally)
    media = {name: _stats(tally) for name, tally in account.tallies.items()}
    return {**_stats(everything), "pending": account.pending, "media": media}


def _stats(tally: Tally) -> dict[str, Any]:
    return {
        "offered": tally.offered,
        "answered": tally.answered.count,
        "abandoned": tally.abandoned.count,
        "abandoned_short": tally.short.count,
        "flowed_out": tally.flowed_out.count,
        "transferred": tally.transferred,
        "answer_ms": asdict(tally.answered),
        "wait_ms": asdict(tally.waited),
        "service_level": {
            "numerator": tally.met,
            "denominator": tally.judged,
            "targets": sorted(tally.targets),
        },
    }


def _true_numbers(
    model: QueueModel, targets: dict[str, dict[str, float]], media_names: Mapping[str, str]
) -> dict[str, Any]:
    media: dict[str, dict[str, Any]] = {}
    for name in MEDIA:
        waiting, interacting = model.waiting[name], model.interacting[name]
        media[media_names.get(name, name)] = {
            "waiting": len(waiting),
            "interacting": len(interacting),
            "alerting": model.alerting[name],
            "oldest_wait_epoch_ms": epoch_ms(waiting[0].arrived) if waiting else None,
            "oldest_interaction_epoch_ms": (
                epoch_ms(next(iter(interacting.values()))) if interacting else None
            ),
            "wait_target_ms": targets.get(name, {}).get("durationMs"),
        }
    oldest = [at for numbers in media.values() if (at := numbers["oldest_wait_epoch_ms"]) is not None]
    members, on_queue = model.profile.members, model.on_queue
    statuses = {status.lower(): count for status, count in on_queue_statuses(model)}
    numbers = {
        "waiting": model.waiting_total,
        "agents_available": model.idle,
        "interacting": sum(map(len, model.interacting.values())),
        "alerting": sum(model.alerting.values()),
        "oldest_wait_epoch_ms": min(oldest, default=None),
        "agents_on_queue": on_queue,
        "agents_by_status": {**statuses, "off_queue": members - on_queue},
        "off_queue_by_presence": off_queue_by_system(members - on_queue),
        "members": members,
        "joined": model.profile.joined,
    }
    return {**numbers, "media": {**media, "video": {"interacting": 0}}}


def epoch_ms(seconds: float) -> int:
    return int(seconds * 1000)
