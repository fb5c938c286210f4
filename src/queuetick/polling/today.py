"""queue.stats: when it is asked for, for which queues, and what a failure costs."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from queuetick.clock import Clock, Stopped, utc
from queuetick.config import Stats
from queuetick.events import Queue, QueueStats, StatsFailed, StatsRecovered, deferred_first
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import ApiError, RateLimited
from queuetick.genesys.rate_limit import Deferred
from queuetick.genesys.stats import Window, today

log = logging.getLogger(__name__)


class Client(Protocol):
    """What queue.stats needs of genesys/client.py."""

    def stats(
        self,
        queues: Sequence[Queue],
        *,
        cycle: int,
        scheduled_at: str,
        window: Window,
        deadline: float,
        usage: Usage,
    ) -> Iterator[list[QueueStats]]: ...


Background = Callable[[Callable[[], None]], None]


def in_background(work: Callable[[], None]) -> None:
    """Do `work` in a thread of its own."""
    threading.Thread(target=work, name="queuetick-stats", daemon=True).start()


class Today:
    """Asks once in every `stats.every` seconds, after a cycle, with what the budget and the cycle's time leave.

    Queues that no request was left for come first after the next cycle. A failure ends the round, and no more. A slow
    answer holds up no cycle: it is waited for beside them.
    """

    def __init__(self, *, clock: Clock, emit: Callable[..., None], background: Background) -> None:
        self._clock = clock
        self._emit = emit
        self._background = background
        self._asking = threading.Lock()
        self._client: Client | None = None
        self._round: int | None = None
        self._waiting: set[str] = set()
        self._failed_at: float | None = None

    def begin(
        self,
        client: Client,
        settings: Stats,
        queues: Sequence[Queue],
        *,
        cycle: int,
        scheduled: float,
        deadline: float,
    ) -> None:
        """Ask after the cycle of the tick at `scheduled` (epoch seconds), where it is time, and where an earlier answer
        is not waited for. Begins no request at or after `deadline` (monotonic seconds).
        """
        if not self._asking.acquire(blocking=False):
            return
        todo = self._due(settings, queues, scheduled)
        if not todo:
            self._asking.release()
            return

        def ask() -> None:
            try:
                self._client = client
                self._ask(client, settings, todo, cycle=cycle, scheduled=scheduled, deadline=deadline)
            except Exception:
                log.exception("queue.stats failed")
            finally:
                self._asking.release()

        self._background(ask)

    def drop(self) -> None:
        """Emit nothing of a round that is under way: another session is in force."""
        self._client = None

    def _due(self, settings: Stats, queues: Sequence[Queue], scheduled: float) -> Sequence[Queue]:
        if not settings.enabled:
            self._round, self._waiting, self._failed_at = None, set(), None
            return ()
        left = self._waiting & {queue.id for queue in queues}
        number = math.floor(scheduled / settings.every)
        if number != self._round:
            self._round = number
            todo = deferred_first(queues, left)
        else:
            todo = [queue for queue in queues if queue.id in left]
        self._waiting = {queue.id for queue in todo}
        return todo

    def _ask(
        self,
        client: Client,
        settings: Stats,
        todo: Sequence[Queue],
        *,
        cycle: int,
        scheduled: float,
        deadline: float,
    ) -> None:
        try:
            for answered in client.stats(
                todo,
                cycle=cycle,
                scheduled_at=utc(scheduled),
                window=today(settings.timezone, self._clock.now()),
                deadline=deadline,
                usage=Usage(),
            ):
                if self._client is not client:
                    return
                self._waiting -= {stats.queue_id for stats in answered}
                self._recovered()
                self._emit(*answered)
        except (Deferred, RateLimited, Stopped):
            return  # a pause of this route has its own event; what waits goes first after the next cycle
        except ApiError as error:
            if self._failed_at is None:
                self._failed_at = self._clock.monotonic()
                self._emit(StatsFailed(**error.evidence(), reason=error.reason, queues=len(self._waiting)))
            self._waiting = set()

    def _recovered(self) -> None:
        if self._failed_at is not None:
            seconds = round(self._clock.monotonic() - self._failed_at, 3)
            self._failed_at = None
            self._emit(StatsRecovered(outage_seconds=seconds))
