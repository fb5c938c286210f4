"""What became of the contacts that one queue was offered since an instant: the numbers of conversation aggregates.

An account replays the queue on a model of its own, window by window as the model does for observations, and
books each contact once. Where two windows disagree about a contact, it books what an observer of both sees: a
contact that is gone at the turn of a window has flowed out, one that is back has been offered again. So at
every instant: offered = answered + abandoned + flowed out + pending, and pending contacts are those that
observations show as waiting or alerting.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from queuetick.simulator.arrivals import Contact, Profile
from queuetick.simulator.queue_model import QueueModel

SHORT_ABANDON_MS = 10_000
"""An abandoned contact that waited less is also a short abandon."""


@dataclass(slots=True)
class Durations:
    """Count, sum and extremes of durations in milliseconds."""

    count: int = 0
    sum: int = 0
    min: int = 0
    max: int = 0

    def add(self, ms: int) -> None:
        self.min = min(self.min, ms) if self.count else ms
        self.max = max(self.max, ms)
        self.count += 1
        self.sum += ms

    def merge(self, other: "Durations") -> None:
        if other.count:
            self.min = min(self.min, other.min) if self.count else other.min
            self.max = max(self.max, other.max)
            self.count += other.count
            self.sum += other.sum


@dataclass(slots=True)
class Tally:
    """The contacts of one medium, or of several."""

    offered: int = 0
    answered: Durations = field(default_factory=Durations)
    abandoned: Durations = field(default_factory=Durations)
    short: Durations = field(default_factory=Durations)
    flowed_out: Durations = field(default_factory=Durations)
    waited: Durations = field(default_factory=Durations)
    """Waits of all contacts that were answered, abandoned or flowed out."""
    transferred: int = 0
    over_target: int = 0
    """Answered contacts that had waited longer than the queue's target."""
    judged: int = 0
    """Answered and abandoned contacts of media with a target: the service level's denominator."""
    met: int = 0
    """Contacts answered within the target: the service level's numerator."""
    targets: set[float] = field(default_factory=set)
    """Targets (0 to 1) of the media in it."""

    def merge(self, other: "Tally") -> None:
        for name in ("answered", "abandoned", "short", "flowed_out", "waited"):
            getattr(self, name).merge(getattr(other, name))
        for name in ("offered", "transferred", "over_target", "judged", "met"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.targets |= other.targets


class Account:
    """One queue since an instant (epoch seconds). Implements the model's Ledger."""

    def __init__(
        self, seed: int, profile: Profile, targets: Mapping[str, Mapping[str, float]], since: float
    ) -> None:
        self._targets = targets
        self.tallies: dict[str, Tally] = {}
        """By medium; a medium without contacts is absent."""
        self._model = QueueModel(seed, profile)
        self._model.advance(since)
        # Contacts by the instant of their arrival, which no two contacts of a queue share.
        self._unbooked = {contact.arrived for contact in self._model.pending()}
        self._open: dict[float, str] = {}
        self._model.ledger = self

    @property
    def now(self) -> float:
        return self._model.now

    @property
    def pending(self) -> int:
        """Contacts offered since the instant that still wait or alert."""
        return len(self._open)

    def advance(self, to: float) -> None:
        """Bring the account to an instant that is not before `now`."""
        model = self._model
        while to >= model.window_end:
            turn = model.window_end
            model.advance(math.nextafter(turn, -math.inf))
            model.ledger = None
            model.advance(turn)
            model.ledger = self
            self._turn_window(turn)
        model.advance(to)

    def _turn_window(self, at: float) -> None:
        pending = {contact.arrived: contact for contact in self._model.pending()}
        for arrived in [each for each in self._open if each not in pending]:
            self._book_flow_out(self._open.pop(arrived), arrived, at)
        self._unbooked &= pending.keys()
        for arrived, contact in pending.items():
            if arrived not in self._open and arrived not in self._unbooked:
                self.arrived(contact)

    def _tally(self, media: str) -> Tally:
        tally = self.tallies.get(media)
        if tally is None:
            tally = self.tallies[media] = Tally()
            if self._complete_target(media):
                tally.targets.add(self._targets[media]["percentage"])
        return tally

    def _complete_target(self, media: str) -> bool:
        return {"percentage", "durationMs"} <= self._targets.get(media, {}).keys()

    # --- what the model tells ---

    def arrived(self, contact: Contact) -> None:
        self._open[contact.arrived] = contact.media
        self._tally(contact.media).offered += 1

    def answered(self, contact: Contact, at: float) -> None:
        if self._open.pop(contact.arrived, None) is None:
            self._unbooked.discard(contact.arrived)
            return
        tally, wait = self._tally(contact.media), _ms(at - contact.arrived)
        tally.answered.add(wait)
        tally.waited.add(wait)
        # One call in 25 is passed on by the agent who took it.
        tally.transferred += int(contact.handle * 1000) % 25 == 0
        if tally.targets:
            tally.judged += 1
            within = wait <= self._targets[contact.media]["durationMs"]
            tally.met += within
            tally.over_target += not within

    def gave_up(self, contact: Contact, at: float) -> None:
        if self._open.pop(contact.arrived, None) is None:
            self._unbooked.discard(contact.arrived)
            return
        if contact.media == "email":
            # A mail does not give up: somebody elsewhere answers it.
            self._book_flow_out(contact.media, contact.arrived, at)
            return
        tally, wait = self._tally(contact.media), _ms(at - contact.arrived)
        tally.abandoned.add(wait)
        tally.waited.add(wait)
        if wait < SHORT_ABANDON_MS:
            tally.short.add(wait)
        if tally.targets:
            tally.judged += 1

    def _book_flow_out(self, media: str, arrived: float, at: float) -> None:
        tally, wait = self._tally(media), _ms(at - arrived)
        tally.flowed_out.add(wait)
        tally.waited.add(wait)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
