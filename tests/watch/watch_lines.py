"""Lines true to the contract without the daemon: `python tests/watch/watch_lines.py --queues 45`.

Seeded; the same arguments give the same bytes. Times are seconds since 1970.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

START = 1_795_492_800.0  # 2026-11-24T04:00:00Z
REGIONS = (
    "EMEA",
    "Nordics",
    "DACH",
    "Iberia",
    "APAC",
    "日本",
    "North America",
    "LATAM",
    "Île-de-France",
    "Wien",
)
TEAMS = (
    "Support",
    "Billing",
    "Sales",
    "Claims",
    "Returns",
    "VIP",
    "Technical Support",
    "Fraud",
    "Onboarding",
)
TARGETS = (20.0, 60.0, 120.0, 300.0)
DIVISIONS = ("Home", "Retail Banking", "Insurance")


def stamp(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def line(event: str, at: float, level: str = "info", **fields: Any) -> bytes:
    whole = {"timestamp": stamp(at), "level": level, "event": event, **fields}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def snapshot(queue_id: str = "q1", *, at: float = START, cycle: int = 1, **fields: Any) -> bytes:
    """A `queue.snapshot` with every key of the contract; `fields` replace some."""
    whole: dict[str, Any] = {
        "cycle": cycle,
        "queue_id": queue_id,
        "waiting": 0,
        "agents_available": 3,
        "interacting": 5,
        "alerting": 1,
        "longest_wait_seconds": None,
        "agents_on_queue": 9,
        "agents_by_status": {
            "idle": 3,
            "interacting": 5,
            "communicating": 0,
            "not_responding": 1,
            "off_queue": 4,
        },
        "members": 14,
        "members_joined": 13,
        "media": {},
        "observed_at": stamp(at),
    }
    return line("queue.snapshot", at, **whole | fields)


def completed(cycle: int = 1, *, at: float = START, snapshots: int = 1, **fields: Any) -> bytes:
    """A `cycle.completed`; queues is the sum it has to be."""
    account = {"snapshots": snapshots, "missing": 0, "invalid": 0, "failed": 0, "deferred": 0}
    account |= {key: fields.pop(key) for key in list(fields) if key in account}
    whole: dict[str, Any] = {
        "cycle": cycle,
        "outcome": "ok",
        "queues": sum(account.values()),
        **account,
        "batches": 3,
        "batches_failed": 0,
        "requests": 3,
        "retries": 0,
        "duration_seconds": 0.812,
        "lateness_seconds": 0.004,
        "rate_limit": {"allowed": 300, "used": 37, "reset_seconds": 12},
    }
    return line("cycle.completed", at, **whole | fields)


class ContactCentre:
    """Queues whose numbers walk, so that trends have a shape."""

    def __init__(self, queues: int, seed: int = 1) -> None:
        self._random = random.Random(seed)  # nothing secret
        names = [f"{team} {region}" for region in REGIONS for team in TEAMS]
        self.ids = [str(uuid.UUID(int=self._random.getrandbits(128), version=4)) for _ in range(queues)]
        self.names = [
            names[i % len(names)] + (f" {i // len(names) + 1}" if i >= len(names) else "")
            for i in range(queues)
        ]
        self._load = [max(0.0, self._random.gauss(1.5, 4)) for _ in range(queues)]
        self._busy = [self._random.random() < 0.3 for _ in range(queues)]

    def cycle(
        self,
        number: int,
        at: float,
        *,
        leave_out: frozenset[int] = frozenset(),
        scheduled_at: float | None = None,
    ) -> Iterator[bytes]:
        """One cycle's snapshots, without those in `leave_out`, and its account is left to the caller."""
        draw = self._random
        for index, queue_id in enumerate(self.ids):
            if self._busy[index]:
                self._load[index] = max(0.0, self._load[index] + draw.gauss(0.05, 1.6))
            waiting = int(self._load[index]) if self._busy[index] else int(draw.random() < 0.08)
            if index in leave_out:
                continue
            voice = waiting * 2 // 3 + waiting % 2
            voice = min(voice, waiting)
            chat = (waiting - voice) // 2
            idle = 0 if waiting > 8 else draw.randrange(0, 6)
            longest = round(waiting * draw.uniform(6, 22), 1) if waiting else None
            yield snapshot(
                queue_id,
                at=at,
                cycle=number,
                queue_name=self.names[index],
                division=DIVISIONS[index % len(DIVISIONS)],
                waiting=waiting,
                agents_available=idle,
                scheduled_at=stamp(at - at % 0.5) if scheduled_at is None else stamp(scheduled_at),
                over_target=longest is not None and longest > TARGETS[index % len(TARGETS)],
                interacting=draw.randrange(0, 12),
                alerting=draw.randrange(0, 3),
                agents_on_queue=idle + draw.randrange(0, 12),
                longest_wait_seconds=longest,
                media={
                    "voice": {
                        "waiting": voice,
                        "interacting": 3,
                        "alerting": 1,
                        **({} if longest is None else {"longest_wait_seconds": longest}),
                        "wait_target_seconds": TARGETS[index % len(TARGETS)],
                    },
                    "chat": {"waiting": chat, "interacting": 1, "alerting": 0},
                    "email": {"waiting": waiting - voice - chat, "interacting": 2, "alerting": 0},
                },
            )


def stream(
    queues: int, cycles: int, *, start: float, interval: float = 15.0, seed: int = 1
) -> Iterator[bytes]:
    """A daemon's output from its start on: all is well but for one missing queue from the tenth cycle on."""
    centre = ContactCentre(queues, seed)
    config = {"poll": {"interval": interval, "batch_size": 20}}
    yield line(
        "daemon.started", start, version="0.1.0", config=config, queues=queues, batches=-(-queues // 20)
    )
    for number in range(1, cycles + 1):
        at = start + (number - 1) * interval
        gone = frozenset({3} if number >= 10 and queues > 10 else ())
        if gone and number == 10:
            yield line("queue.missing", at, "warning", queue_id=centre.ids[3], queue_name=centre.names[3])
        yield from centre.cycle(number, at + 0.4, leave_out=gone, scheduled_at=at)
        batches = -(-queues // 20)
        budget = {"allowed": 300, "used": min(299, batches * int(60 / interval)), "reset_seconds": 12}
        yield completed(
            number,
            at=at + 0.5,
            scheduled_at=stamp(at),
            snapshots=queues - len(gone),
            missing=len(gone),
            batches=batches,
            requests=batches,
            rate_limit=budget,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queues", type=int, default=45)
    parser.add_argument("--cycles", type=int, default=30)
    parser.add_argument("--interval", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--live", action="store_true", help="the last cycles are written as they would happen"
    )
    args = parser.parse_args()
    start = time.time() - (args.cycles - 1) * args.interval
    for text in stream(args.queues, args.cycles, start=start, interval=args.interval, seed=args.seed):
        sys.stdout.buffer.write(text + b"\n")
    sys.stdout.buffer.flush()
    if not args.live:
        return
    centre = ContactCentre(args.queues, args.seed + 1)
    centre.ids = ContactCentre(args.queues, args.seed).ids
    number = args.cycles
    while True:
        number += 1
        time.sleep(max(0.0, start + (number - 1) * args.interval - time.time()))
        for text in centre.cycle(number, time.time()):
            sys.stdout.buffer.write(text + b"\n")
        sys.stdout.buffer.write(completed(number, at=time.time(), snapshots=args.queues) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
