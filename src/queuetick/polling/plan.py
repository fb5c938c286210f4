"""What one cycle sets out to do, and what it needs of the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from queuetick.events import Batch, MetricRefused, Queue
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import RequestRefused
from queuetick.genesys.queries import Answer


class Client(Protocol):
    """What a cycle needs of genesys/client.py."""

    @property
    def permission(self) -> str: ...

    def observe(
        self, batch: Batch, *, cycle: int, scheduled_at: str, deadline: float, usage: Usage
    ) -> Answer: ...

    def hold(self, seconds: float) -> None: ...

    def find_refused_metric(
        self, queue_id: str, error: RequestRefused, *, deadline: float, usage: Usage, requests: int
    ) -> list[MetricRefused]: ...

    def drop_token(self) -> None: ...

    def queue(self, queue_id: str, *, deadline: float, usage: Usage) -> Queue | None: ...


@dataclass(frozen=True)
class Plan:
    """One cycle. `scheduled` is epoch seconds, `deadline` monotonic seconds, `lateness` seconds."""

    number: int
    queues: Sequence[Queue]
    scheduled: float
    deadline: float
    """No request is begun at or after it."""
    batch_size: int
    concurrency: int = 1
    lateness: float = 0.0
    lost: bool = False
    """Whether the API was lost before: then failed batches are named only when another one is answered."""
    listed: bool = True
    """Whether the listing is known, where one is needed."""
