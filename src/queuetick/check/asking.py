"""Asking for queues as the daemon does."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from queuetick.clock import Clock
from queuetick.events import Queue
from queuetick.genesys.org import Org
from queuetick.polling.cycle import Cycle
from queuetick.polling.memory import CycleResult, Memory
from queuetick.polling.plan import Plan


class Asker:
    """Polls queues once, in one or more calls; an id that an earlier call set aside is not asked for again."""

    def __init__(self, org: Org, *, clock: Clock, emit: Callable[..., None]) -> None:
        self._org = org
        self._clock = clock
        self._emit = emit
        self._memory = Memory()
        self._concurrency = org.config.poll.concurrency
        self._threads = ThreadPoolExecutor(self._concurrency)
        self._calls = 0

    def ask(self, queues: Sequence[Queue], *, batch_size: int, deadline: float) -> CycleResult:
        """Poll `queues`; no request is begun at or after `deadline` (monotonic seconds)."""
        self._calls += 1
        plan = Plan(self._calls, queues, self._clock.now(), deadline, batch_size, self._concurrency)
        return Cycle(
            self._org.client,
            self._memory,
            plan,
            threads=self._threads,
            clock=self._clock,
            uniform=random.uniform,
            emit=self._emit,
        ).run()

    def close(self) -> None:
        """End the threads when their present work is done; does not wait for it."""
        self._threads.shutdown(wait=False, cancel_futures=True)
