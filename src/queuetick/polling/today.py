"""queue.stats: when it is asked for, for which queues, and what a failure costs."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from queuetick.background import begin
from queuetick.clock import Clock, Stopped, utc
from queuetick.config import Stats
from queuetick.events import Queue, QueueStats, StatsFailed, StatsRecovered, deferred_first
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import ApiError, Forbidden, LoginFailed, RateLimited, TooLarge, Transient
from queuetick.genesys.rate_limit import Deferred
from queuetick.genesys.stats import MAX_QUEUES, Window, today
from queuetick.polling.isolation import concerns_single_queues

log = logging.getLogger(__name__)

MOST_PIECES = 16
"""Requests beyond its own that a round may spend on halving what was refused."""

GIVE_UP_AFTER = 3
"""Failures in a round before any answer that end it: no answer, 5xx, garbage."""

MOST_PROBES = 4
"""Queues that a round in which all was refused asks for alone: an answer shows that single queues are at fault."""


def _holds_for_all(error: ApiError) -> bool:
    """Whether an error holds for the whole route, whatever queues were asked for."""
    if isinstance(error, Forbidden):
        return not concerns_single_queues(error)
    return isinstance(error, RateLimited | LoginFailed) or error.retry_after is not None


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
    ) -> list[QueueStats]: ...


Background = Callable[[Callable[[], None]], None]


def in_background(work: Callable[[], None]) -> None:
    """Do `work` in a thread of its own."""
    begin(work, "queuetick-stats")


class Today:
    """Asks once in every `stats.every` seconds, after a cycle, with what the budget and the cycle's time leave.

    Queues that no request was left for come first after the next cycle. A failure costs what was refused, or where it
    holds for all the rest of the round, and no more. A slow answer holds up no cycle: it is waited for beside them.
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
        self._size = MAX_QUEUES
        """Queues that an answer has room for, as far as is known."""
        self._probed = 0
        """Queues that were asked for alone, in all rounds."""
        self._refused: set[str] = set()
        """Queue ids of requests that were refused: asked for apart from the others."""

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

        try:
            self._background(ask)
        except RuntimeError:  # the process may start no more threads
            self._asking.release()
            log.exception("queue.stats could not begin")

    def try_full_size(self) -> None:
        """Ask for `MAX_QUEUES` at a time again, where the answer was too large for so many."""
        self._size = MAX_QUEUES

    def finish(self) -> None:
        """Wait until the answers that are waited for have come, or the daemon stops."""
        while not self._asking.acquire(timeout=0.1):
            if self._clock.wait(0.0):
                return
        self._asking.release()

    def drop(self) -> None:
        """Emit nothing of a round that is under way: another session is in force."""
        self._client = None

    def _due(self, settings: Stats, queues: Sequence[Queue], scheduled: float) -> Sequence[Queue]:
        if not settings.enabled:
            self._round, self._waiting, self._failed_at = None, set(), None
            return ()
        ids = {queue.id for queue in queues}
        left = self._waiting & ids
        self._refused &= ids
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
        window = today(settings.timezone, self._clock.now())

        def ask(part: Sequence[Queue]) -> None:
            answered = client.stats(
                part,
                cycle=cycle,
                scheduled_at=utc(scheduled),
                window=window,
                deadline=deadline,
                usage=Usage(),
            )
            if self._client is not client:
                raise Stopped
            self._waiting -= {stats.queue_id for stats in answered}
            self._refused -= {stats.queue_id for stats in answered}
            self._emit(*answered)

        try:
            error = self._ask_all(ask, todo)
        except (Deferred, RateLimited, Stopped):
            return  # a pause of this route has its own event; what waits goes first after the next cycle
        except ApiError as fatal:
            error = fatal
        if error is None:
            self._recovered()
        elif self._failed_at is None:
            self._failed_at = self._clock.monotonic()
            self._emit(StatsFailed(**error.evidence(), reason=error.reason, queues=len(self._waiting)))
        self._waiting = set()

    def _ask_all(self, ask: Callable[[Sequence[Queue]], None], todo: Sequence[Queue]) -> ApiError | None:
        """Ask for all queues, as many at a time as an answer has room for.

        An error that may be due to one queue costs the others nothing: what was refused is halved, after all else was
        asked for, and where that, or a queue alone, was answered. Returns the last one. Raises what holds for
        all, as Client.stats, and the failure of `GIVE_UP_AFTER` parts before any was answered.
        """
        good = [queue for queue in todo if queue.id not in self._refused]
        apart = [queue for queue in todo if queue.id in self._refused]
        first: deque[Sequence[Queue]] = deque([good or apart])
        again: deque[Sequence[Queue]] = deque([apart] if good and apart else [])
        error: ApiError | None = None
        answered, extra, failures = False, MOST_PIECES, 0

        def ask_for(pieces: deque[Sequence[Queue]]) -> None:
            nonlocal error, answered, extra, failures
            while pieces:
                piece = [queue for queue in pieces.popleft() if queue.id in self._waiting]
                part = piece[: self._size]
                if rest := piece[self._size :]:
                    pieces.appendleft(rest)
                if not part:
                    continue
                try:
                    ask(part)
                    answered = True
                except TooLarge as refusal:
                    if len(part) > 1:
                        self._size = len(part) // 2
                        pieces.appendleft(part)
                    else:
                        error = refusal
                except ApiError as refusal:
                    error = refusal
                    self._refused.update(queue.id for queue in part)
                    failures += isinstance(refusal, Transient)
                    if _holds_for_all(refusal) or (failures >= GIVE_UP_AFTER and not answered):
                        raise
                    if len(part) > 1 and extra > 0:
                        extra -= 2
                        again.extend((part[: len(part) // 2], part[len(part) // 2 :]))

        ask_for(first)
        if error is not None and not answered:
            alone = range(self._probed, self._probed + min(MOST_PROBES, len(todo)))
            self._probed = alone.stop
            ask_for(deque([todo[at % len(todo)]] for at in alone))
        if answered:
            ask_for(again)
        return error

    def _recovered(self) -> None:
        if self._failed_at is not None:
            seconds = round(self._clock.monotonic() - self._failed_at, 3)
            self._failed_at = None
            self._emit(StatsRecovered(outage_seconds=seconds))
