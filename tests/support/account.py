"""The accounting law, checked on lines: what the tests, the chaos run and the soak all hold the daemon to.

For each cycle number 1..N there is exactly one of cycle.completed, cycle.skipped, cycle.crashed; the queues of a
completed cycle are the sum of its six outcomes, and its retries were sent; each snapshot is written, and each failed
queue is named unless the API was lost before; each line is one whole JSON object; no line holds a secret.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

ENDS = ("cycle.completed", "cycle.skipped", "cycle.crashed")
OUTCOMES = ("snapshots", "unchanged", "missing", "invalid", "failed", "deferred")
LIMIT = 4096


@dataclass
class Account:
    """Reads lines as they come, keeps figures, and remembers each breach of the law as a sentence."""

    secrets: tuple[str, ...] = ()
    breaches: list[str] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    skipped_for: Counter[str] = field(default_factory=Counter)
    failed_for: Counter[str] = field(default_factory=Counter)
    last: dict[str, Any] = field(default_factory=dict)
    lateness: list[float] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    _lost: bool = False
    _ended: dict[int, str] = field(default_factory=dict)
    _snapshots: dict[int, set[str]] = field(default_factory=dict)
    _failed: dict[int, set[str]] = field(default_factory=dict)

    def read(self, data: bytes) -> None:
        """Take in whole output; what follows the last newline is a torn line."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self.take(line)
        if rest:
            self.breaches.append(f"a torn line: {rest[:80]!r}")

    def take(self, line: bytes) -> dict[str, Any] | None:
        """Take in one line, without its newline."""
        try:
            fact = msgspec.json.decode(line)
        except ValueError:
            self.breaches.append(f"not JSON: {line[:120]!r}")
            return None
        if not isinstance(fact, dict) or "event" not in fact:
            self.breaches.append(f"not an event: {line[:120]!r}")
            return None
        if len(line) >= LIMIT:
            self.breaches.append(f"{fact['event']} takes {len(line)} bytes")
        self.breaches += [
            f"a secret in {fact['event']}" for secret in self.secrets if secret.encode() in line
        ]
        name = fact["event"]
        self.events[name] += 1
        self.last[name] = fact
        if name == "queue.snapshot":
            seen = self._snapshots.setdefault(fact["cycle"], set())
            if fact["queue_id"] in seen:
                self.breaches.append(f"cycle {fact['cycle']} has two snapshots of {fact['queue_id']}")
            seen.add(fact["queue_id"])
        elif name == "batch.failed":
            self._failed.setdefault(fact["cycle"], set()).update(fact["queue_ids"])
            if fact.get("part", 1) == 1:
                self.failed_for[f"{fact['status'] or '-'} {fact['reason'][:60]}"] += 1
        elif name in ("api.lost", "api.recovered"):
            self._lost = name == "api.lost"
        elif name in ENDS:
            self._end(name, fact)
        return fact

    def _end(self, name: str, fact: dict[str, Any]) -> None:
        cycle = fact["cycle"]
        if cycle in self._ended:
            self.breaches.append(f"cycle {cycle} is {self._ended[cycle]} and {name}")
        self._ended[cycle] = name
        self.ends[name] += 1
        snapshots = len(self._snapshots.pop(cycle, ()))
        failed = len(self._failed.pop(cycle, ()))
        if name == "cycle.skipped":
            self.skipped_for[fact["reason"]] += 1
            if snapshots or failed:
                self.breaches.append(f"cycle {cycle} was skipped and has lines")
        if name != "cycle.completed":
            return
        self.totals.update({key: fact[key] for key in ("queues", "requests", "retries", *OUTCOMES)})
        if fact["retries"] and fact["retries"] >= fact["requests"]:
            self.breaches.append(
                f"cycle {fact['cycle']}: {fact['retries']} retries in {fact['requests']} requests"
            )
        self.outcomes[fact["outcome"]] += 1
        self.lateness.append(fact["lateness_seconds"])
        self.durations.append(fact["duration_seconds"])
        if fact["queues"] != sum(fact[key] for key in OUTCOMES):
            self.breaches.append(f"cycle {cycle}: {fact['queues']} queues are not the sum of {fact}")
        if fact["snapshots"] != snapshots:
            self.breaches.append(f"cycle {cycle}: {fact['snapshots']} snapshots counted, {snapshots} written")
        if fact["failed"] != failed and not (self._lost and failed == 0):
            self.breaches.append(f"cycle {cycle}: {fact['failed']} failed, {failed} named")

    @property
    def cycles(self) -> int:
        """The highest cycle number that has ended."""
        return max(self._ended, default=0)

    def close(self, cycles: int | None = None) -> None:
        """Look for numbers without an end, up to `cycles` or the highest seen."""
        most = self.cycles if cycles is None else cycles
        missing = [number for number in range(1, most + 1) if number not in self._ended]
        if missing:
            self.breaches.append(f"no end of cycles {missing[:10]} ({len(missing)} in all)")
        beyond = [number for number in self._ended if number > most or number < 1]
        if beyond:
            self.breaches.append(f"cycles beyond {most}: {beyond[:10]}")
        for number in (*self._snapshots, *self._failed):
            self.breaches.append(f"cycle {number} has lines after its end, or no end")
        if self.ends["cycle.crashed"]:
            self.breaches.append(f"{self.ends['cycle.crashed']} crashed: {self.last['cycle.crashed']}")

    def figures(self) -> list[tuple[str, str]]:
        """Rows to print."""
        rows = [("cycles", f"{self.cycles:,}")]
        rows += [(name, f"{self.ends[name]:,}") for name in ENDS]
        rows += [(f"  skipped: {reason}", f"{count:,}") for reason, count in self.skipped_for.most_common()]
        rows += [(f"  outcome: {name}", f"{count:,}") for name, count in self.outcomes.most_common()]
        rows += [(f"queues: {name}", f"{self.totals[name]:,}") for name in ("queues", *OUTCOMES)]
        rows += [(name, f"{self.totals[name]:,}") for name in ("requests", "retries")]
        rows += [(f"line {name}", f"{count:,}") for name, count in sorted(self.events.items())]
        return rows


def breaches(
    lines: Iterable[bytes] | bytes, *, cycles: int | None = None, secrets: tuple[str, ...] = ()
) -> list[str]:
    """Every breach of the law in `lines`."""
    account = Account(secrets=secrets)
    account.read(lines if isinstance(lines, bytes) else b"".join(lines))
    account.close(cycles)
    return account.breaches
