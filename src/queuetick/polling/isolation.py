"""Which ids of a refused batch are at fault.

An id is set aside only on evidence about that id: it is refused alone while a sibling of its batch is answered in the
same cycle, or a look-up of it is answered 404 or 403, but not because the role may look up no queue at all. Where
nothing is answered, the request or the API is at fault.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from queuetick.clock import Stopped
from queuetick.events import Batch, Queue, QueueInvalid, chunk, halves
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import ApiError, Forbidden, NotFound, RequestRefused, TooLarge
from queuetick.genesys.metric_set import named_in
from queuetick.genesys.rate_limit import Deferred
from queuetick.polling.memory import SetAside

if TYPE_CHECKING:
    from queuetick.polling.cycle import Cycle

MOST_PROBES = 4
"""Requests that a cycle without any answer spends on telling a bad id from a bad request, and as many on metrics."""

FEWEST_PIECES = 40
"""Requests that isolating may cost a cycle in which queues are answered; or twice its batches, where that is more.
The rest is isolated in the next cycle.
"""

MOST_SECOND_TRIES = 20
"""Ids set aside that one cycle asks for again, each alone, after they were refused together."""


def concerns_single_queues(error: ApiError) -> bool:
    """Whether a refusal of a batch may be due to one of its ids."""
    if isinstance(error, Forbidden):
        return error.single_queue
    return isinstance(error, RequestRefused | NotFound) and not isinstance(error, TooLarge)


def ask_parts(cycle: Cycle, batch: Batch, error: TooLarge, attempts: int) -> None:
    """The answer would be too large: ask for parts of at most half the size that is known to be too large."""
    count = len(batch.queues)
    if count == 1:
        return cycle.fail(batch, error, attempts)
    with cycle.lock:
        cycle.too_large = min(count, cycle.too_large or count)
        size = max(1, cycle.too_large // 2)
    for part in chunk(batch.queues, size):
        piece = Batch(batch.number, part.queues)
        refusal = cycle.ask(piece) if cycle.spend() else error
        if refusal is not None:
            cycle.fail(piece, refusal, attempts)
    return None


class _Refused:
    """A batch that was refused, and what is known of its queues."""

    def __init__(self, batch: Batch, error: ApiError) -> None:
        self.number = batch.number
        self.error = error
        self.queues = batch.queues
        single = len(batch.queues) == 1
        self.pieces: deque[tuple[Queue, ...]] = deque([] if single else [batch.queues])
        """Parts that hold a bad id, or that were not asked for."""
        self.alone: list[tuple[Queue, ApiError]] = [(batch.queues[0], error)] if single else []
        """Queues that were refused alone."""
        self.sibling_answered = False


class Isolation:
    """Deals with the refused batches of one cycle, after all its other batches were asked for."""

    def __init__(self, cycle: Cycle, refused: Iterable[tuple[Batch, ApiError]]) -> None:
        self._cycle = cycle
        self._memory = cycle.memory
        self._refused = [_Refused(batch, error) for batch, error in refused]
        self._left = MOST_PROBES
        self._pieces_left = max(FEWEST_PIECES, 2 * len(cycle.batches))

    def run(self) -> None:
        """Find the bad ids, set them aside and poll the good ones, as far as the cycle's requests and time allow."""
        self._memory.suspects.update(queue.id for refused in self._refused for queue in refused.queues)
        if self._refused and not self._cycle.api_answered:
            # Few requests are left: ids first, unless a refusal names a metric; then for some cycles the metrics.
            steps = (self._probe, self._search_metric)
            ids_first = self._memory.unanswered % 4 == 0 and not named_in(self._refused[0].error)
            for step in steps if ids_first else steps[::-1]:
                if not self._cycle.api_answered:
                    step()
            self._memory.unanswered += 1
        if self._cycle.api_answered:
            self._memory.unanswered = 0
        self._memory.suspects_are_few = self._cycle.api_answered
        if self._cycle.api_answered:
            self._cycle.run_all(self._refused, self._split)
        if self._cycle.api_answered or not self._cycle.batches:
            self._try_again()
        for refused in self._refused:
            self._conclude(refused)

    def _probe(self) -> None:
        """Nothing is answered: ask for a part of each batch, in each cycle another, until one is answered."""
        self._left = MOST_PROBES
        for refused in self._refused:
            self._probe_one(refused)
            if self._left <= 0 or self._cycle.api_answered:
                return

    def _search_metric(self) -> None:
        """Nothing is answered: look for a metric that the organisation refuses."""
        cycle = self._cycle
        errors = [each.error for each in self._refused if isinstance(each.error, RequestRefused)]
        requests = 0
        while errors and requests < MOST_PROBES and cycle.spend():
            requests += 1
        if not requests:
            return
        usage = Usage()
        queue = self._refused[0].queues[0]
        try:
            cycle.emit(
                *cycle.client.find_refused_metric(
                    queue.id, errors[0], deadline=cycle.plan.deadline, usage=usage, requests=requests
                )
            )
        except (ApiError, Deferred, Stopped):
            pass
        finally:
            self._pieces_left -= usage.requests
            cycle.count(usage)

    def _probe_one(self, refused: _Refused) -> None:
        queues = refused.queues
        if len(queues) == 1:
            refused.alone, refused.pieces = [], deque([queues])
            self._look_up(refused, queues[0], refused.error)
            return
        number, self._memory.probes = self._memory.probes, self._memory.probes + 1
        if (rest := self._not_named(queues, refused.error)) and len(rest) > 1:
            self._probe_part(refused, rest)
            return
        first = rest[0] if rest else queues[number % len(queues)]
        error = self._probe_part(refused, (first,))
        if error is None or self._left <= 0:
            return
        if number % 2:  # every second time, because where all ids are bad only a lookup can tell
            self._look_up(refused, first, error)
        else:
            second = queues[(queues.index(first) + len(queues) // 2) % len(queues)]
            self._probe_part(refused, (second,))

    def _probe_part(self, refused: _Refused, part: tuple[Queue, ...]) -> ApiError | None:
        """Ask for part of the one piece of a batch; returns the refusal, if it was refused."""
        if not self._cycle.spend():
            self._left = 0
            return None
        self._left -= 1
        self._pieces_left -= 1
        error = self._ask(refused, part)
        if error is None:
            [queues] = refused.pieces
            refused.pieces = deque(
                [rest] if (rest := tuple(each for each in queues if each not in part)) else []
            )
        return error

    def _look_up(self, refused: _Refused, queue: Queue, error: ApiError) -> None:
        self._left -= 1
        if self._does_not_exist(queue):
            self._set_aside(queue, error)
            [queues] = refused.pieces
            refused.pieces = deque(
                [rest] if (rest := tuple(each for each in queues if each is not queue)) else []
            )

    def _split(self, refused: _Refused) -> None:
        """Halve what holds a bad id until the bad ids are alone; the pieces that were refused first go on last."""
        while refused.pieces:
            piece = refused.pieces.popleft()
            if len(piece) == 1:
                if not self._ask_part(refused, piece):
                    return
                continue
            first, second = self._parts(piece, refused.error)
            before = len(refused.pieces), len(refused.alone)
            if not self._ask_part(refused, first):
                refused.pieces.append(second)
                return
            first_is_good = before == (len(refused.pieces), len(refused.alone))
            if first_is_good and len(second) > 1:
                refused.pieces.append(second)  # it must hold the bad id: not asked for as a whole
            elif not self._ask_part(refused, second):
                return

    def _ask_part(self, refused: _Refused, queues: tuple[Queue, ...]) -> bool:
        """Ask for part of a refused batch and file the outcome; False when no more requests may be sent."""
        if not self._may_ask():
            refused.pieces.append(queues)
            return False
        if (error := self._ask(refused, queues)) is not None:
            self._keep(refused, queues, error)
        return True

    def _may_ask(self) -> bool:
        """Count one more request; False when no more may be sent."""
        with self._cycle.lock:
            self._pieces_left -= 1
            allowed = self._pieces_left >= 0
        return allowed and self._cycle.spend()

    def _keep(self, refused: _Refused, queues: tuple[Queue, ...], error: ApiError) -> None:
        if len(queues) == 1:
            refused.alone.append((queues[0], error))
        else:
            refused.pieces.append(queues)

    def _ask(self, refused: _Refused, queues: tuple[Queue, ...]) -> ApiError | None:
        error = self._cycle.ask(Batch(refused.number, queues))
        with self._cycle.lock:
            if queues[0].id in self._cycle.answered or queues[0].id in self._cycle.missing:
                refused.sibling_answered = True
        return error

    def _conclude(self, refused: _Refused) -> None:
        """Set aside what there is evidence about; the rest of the batch has failed, or goes on in the next cycle."""
        unexplained: list[Queue] = []
        for queue, error in refused.alone:
            if refused.sibling_answered or self._does_not_exist(queue):
                self._set_aside(queue, error)
            else:
                unexplained.append(queue)
        if not self._cycle.api_answered:
            unexplained += [queue for piece in refused.pieces for queue in piece]
        if unexplained:
            self._cycle.fail(Batch(refused.number, tuple(unexplained)), refused.error)

    def _parts(
        self, piece: tuple[Queue, ...], error: ApiError
    ) -> tuple[tuple[Queue, ...], tuple[Queue, ...]]:
        """Two parts: those that the refusal does not name and those that it names, or two halves."""
        if rest := self._not_named(piece, error):
            return rest, tuple(queue for queue in piece if queue not in rest)
        first, second = halves(Batch(0, piece))
        return first.queues, second.queues

    def _not_named(self, queues: tuple[Queue, ...], error: ApiError) -> tuple[Queue, ...]:
        """The queues that the refusal does not name; empty where it names none of them."""
        text = f"{getattr(error, 'named', '')} {error.reason}".lower()
        rest = tuple(queue for queue in queues if queue.id not in text)
        return rest if len(rest) < len(queues) else ()

    def _does_not_exist(self, queue: Queue) -> bool:
        """Whether a look-up finds no such queue, or none within reach; False where no request is left for it."""
        if not self._may_ask():
            return False
        try:
            return self._cycle.look_up(queue.id) is None
        except NotFound:
            return True
        except Forbidden as error:
            # A permission that the role lacks is missing for every queue.
            return error.single_queue or not (error.code or "").startswith("missing.")
        except (ApiError, Deferred, Stopped):
            return False

    def _set_aside(self, queue: Queue, error: ApiError) -> None:
        cycle = self._cycle
        with cycle.lock:
            self._memory.missing.pop(queue.id, None)
            cycle.invalid[queue.id] = error
            number = cycle.plan.number
            self._memory.invalid[queue.id] = SetAside(number, error, next_try=number + 1)
        permission: str | UnsetType = UNSET
        if isinstance(error, Forbidden):
            permission = error.permission or cycle.client.permission
        cycle.emit(
            QueueInvalid(
                cycle=cycle.plan.number,
                **queue.labels(),
                permission=permission,
                **error.evidence(),
                reason=error.reason,
            )
        )

    def _try_again(self) -> None:
        """Ask for the ids that were set aside and are due: together, and where that is refused, a few alone."""
        number = self._cycle.plan.number
        due = [
            queue
            for queue in self._cycle.plan.queues
            if (aside := self._memory.invalid.get(queue.id)) is not None
            and aside.since < number
            and aside.next_try <= number
        ]
        unclear: list[Queue] = []
        for batch in chunk(due, self._cycle.plan.batch_size):
            if not self._may_ask() or (error := self._cycle.ask(Batch(0, batch.queues))) is None:
                continue
            if len(batch.queues) == 1:
                self._refused_again(batch.queues[0], error)
            else:
                unclear += batch.queues
        # In each cycle from another one on: where requests are few, a good one is not for ever behind the same bad one.
        first = number % len(unclear) if unclear else 0
        unclear = unclear[first:] + unclear[:first]
        for queue in unclear[: max(0, min(MOST_SECOND_TRIES, self._pieces_left))]:
            if self._cycle.spend() and (error := self._cycle.ask(Batch(0, (queue,)))) is not None:
                self._refused_again(queue, error)

    def _refused_again(self, queue: Queue, error: ApiError) -> None:
        aside = self._memory.invalid[queue.id]
        aside.error = error
        if self._cycle.api_answered:
            aside.refused_again(self._cycle.plan.number)
