"""Which queues one organisation has to poll, and the result of the last listing."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Protocol

from queuetick.clock import Clock, Stopped
from queuetick.config import Queues
from queuetick.events import Fact, Queue, QueuesNoneSelected, QueuesRefreshFailed
from queuetick.genesys.errors import ApiError, ListingUnfinished, RateLimited, Transient
from queuetick.genesys.rate_limit import Deferred
from queuetick.polling import selection

ATTEMPTS = 3
"""Tries of one listing, where the failure is of the kind that passes."""


class Lister(Protocol):
    """What a discovery needs of genesys/client.py."""

    def queues(self, *, deadline: float) -> list[Queue]: ...

    def drop_token(self) -> None: ...


class Discovery:
    """The queues that one client can see, selected as one configuration says.

    A reload that changes either makes a new one. A listing under way then ends in the old one, where nobody reads it.
    """

    def __init__(
        self,
        client: Lister,
        settings: Queues,
        *,
        clock: Clock,
        emit: Callable[..., None],
        known: Discovery | None = None,
    ) -> None:
        """From `known` come the queues and whether a listing was believed: it saw the same organisation."""
        self.settings = settings
        self.queues: list[Queue] | None = known.queues if known else selection.explicit(settings) or None
        """None until there is something to poll, or a listing without any queue is believed."""
        self.believed: bool = known.believed if known else False
        """Whether a listing was believed."""
        self.error: ApiError | None = known.error if known else None
        """Why the last listing failed; None when it did not."""
        self.none_selected: str | None = known.none_selected if known else None
        """Why nothing is selected; None when something is."""
        self._listed: int = known._listed if known else 0
        self._client = client
        self._clock = clock
        self.emit = emit
        self._lock = threading.Lock()
        self._closed = False

    @property
    def complete(self) -> bool:
        """Whether all that the configuration asks for is known: a listing was believed, or none is needed."""
        return self.believed or not self.settings.name_globs

    @property
    def needs_more_time(self) -> bool:
        """Whether nothing is known because a cycle is too short for the listing: a refresh has longer."""
        return not self.believed and isinstance(self.error, ListingUnfinished)

    def close(self) -> None:
        """Believe no listing any more, and emit nothing."""
        self._closed = True

    def run(self, *, deadline: float = math.inf) -> bool:
        """List the queues and select; False when nothing came of it, or another thread does so already.

        Gives up at `deadline` (monotonic seconds) and then keeps what was known. `error` has the reason.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            listing = self._listing(deadline)
            if self._listed and not listing:
                raise Transient(
                    f"the listing fell from {self._listed} queues to none; the queues known before stay in force",
                    status=200,
                )
        except (Deferred, Stopped):
            return False
        except ApiError as error:
            first, self.error = self.error is None, error
            if error.rejected and not self.queues:
                self._client.drop_token()  # no cycle polls a queue, and so none finds out
            if first:
                self._emit_if_open(QueuesRefreshFailed(**error.evidence(), reason=error.reason))
            return False
        else:
            return not self._closed and self._believe(listing)
        finally:
            self._lock.release()

    def _believe(self, listing: list[Queue]) -> bool:
        after = selection.select(self.settings, listing)
        changed = selection.changes(self.queues if self.believed else None, after)
        was_empty = self.none_selected is not None
        self.queues, self.believed, self.error, self._listed = after, True, None, len(listing)
        self.none_selected = None
        if changed is not None:
            self._emit_if_open(changed)
        if not after:
            unmatched = selection.unmatched(self.settings, listing)
            self.none_selected = _why_none(unmatched, len(listing))
            if not was_empty:
                self._emit_if_open(
                    QueuesNoneSelected(
                        total=len(listing),
                        names=list(unmatched.names),
                        divisions=list(unmatched.divisions),
                        ids=list(unmatched.ids),
                        reason=self.none_selected,
                    )
                )
        return True

    def _emit_if_open(self, fact: Fact) -> None:
        if not self._closed:
            self.emit(fact)

    def _listing(self, deadline: float) -> list[Queue]:
        failures = 0
        while True:
            try:
                return self._client.queues(deadline=deadline)
            except RateLimited:
                if self._closed:
                    raise
                continue  # the budget holds the next request until the pause is over, or defers it
            except Transient:
                failures += 1
                delay = 0.5 * failures
                late = self._clock.monotonic() + delay >= deadline
                if self._closed or failures >= ATTEMPTS or late or self._clock.wait(delay):
                    raise


def _why_none(unmatched: selection.Unmatched, total: int) -> str:
    if not total:
        return "the listing shows no queue: does the role of the OAuth client have routing:queue:view in a division?"
    parts = []
    if unmatched.names:
        parts.append("no name matches " + _quoted(unmatched.names))
    if unmatched.divisions:
        parts.append("no queue is in division " + _quoted(unmatched.divisions))
    if not parts:
        parts.append("names, divisions and exclude together leave out every queue")
    parts += [f"{entry!r}: {text}" for entry, text in unmatched.suggestions[:3]]
    return f"none of {total} queues is selected: " + "; ".join(parts)


def _quoted(entries: tuple[str, ...]) -> str:
    return ", ".join(repr(entry) for entry in entries[:5]) + (", ..." if len(entries) > 5 else "")
