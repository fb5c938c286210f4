"""One queue in operation: contacts wait, agents take them, both leave.

Event by event, so an hour passes as cheaply as its contacts are few, and in one step or in many it
passes the same. The state at an instant is defined as what a replay finds that starts WARM_UP seconds
before the instant's window with all agents idle; windows last WINDOW seconds. So no jump of the clock,
forward or back, costs more than one replay of WARM_UP + WINDOW seconds.
"""

import heapq
import math
from bisect import insort
from operator import attrgetter
from typing import Protocol

from queuetick.simulator.arrivals import (
    MEDIA,
    SHARED,
    STRETCH,
    UTILIZATION,
    Contact,
    Desk,
    Profile,
    draw_stretch,
)

WINDOW = 12 * STRETCH
WARM_UP = 3 * STRETCH
NOT_RESPONDING_SECONDS = 75.0
"""How long an agent who let a contact ring out stays NOT_RESPONDING."""

_ARRIVED = attrgetter("arrived")
# Which media a free agent takes first: the ones where the customer is on the line.
_ORDER = ("voice", "callback", "chat", "message", "email")

_GIVES_UP, _ALERT_ENDS, _FINISHES, _CALL_ENDS, _RESPONDS = range(5)


class Ledger(Protocol):
    """Receives what happens to contacts; times are epoch seconds."""

    def arrived(self, contact: Contact) -> None: ...
    def answered(self, contact: Contact, at: float) -> None: ...
    def gave_up(self, contact: Contact, at: float) -> None: ...


class QueueModel:
    """The contacts and agents of one queue at one instant. Not safe for two threads at once."""

    def __init__(self, seed: int, profile: Profile) -> None:
        self.seed = seed
        self.profile = profile
        self.version = 0
        """Rises whenever a number may have changed: what a cache must look at."""
        self.now = -math.inf
        self.window_end = -math.inf
        """The instant from which on the state follows from another replay."""
        self.ledger: Ledger | None = None

    def advance(self, to: float) -> None:
        """Bring the model to an instant (epoch seconds)."""
        if not self.now <= to < self.window_end:
            self._restart(to)
        minute = to - to % 60.0
        if self.now < minute:
            self._run(minute)
            self.minute_mark = (minute, self.waiting_total, self.idle)
        self._run(to)

    @property
    def waiting_total(self) -> int:
        return sum(map(len, self.waiting.values()))

    def pending(self) -> list[Contact]:
        """Contacts that wait or alert."""
        waiting = [contact for line in self.waiting.values() for contact in line]
        alerting = [each for _, _, kind, each in self._due if kind == _ALERT_ENDS and each is not None]
        return waiting + alerting

    @property
    def busy(self) -> int:
        """Agents with at least one contact alerting or in hand: routing status INTERACTING."""
        return self.exclusive + self.shared_desks

    @property
    def on_queue(self) -> int:
        return self.idle + self.exclusive + self.shared_desks + self.communicating + self.not_responding

    def _restart(self, to: float) -> None:
        phase = self.profile.phase
        window_start = math.floor((to - phase) / WINDOW) * WINDOW + phase
        self.window_end = window_start + WINDOW
        start = window_start - WARM_UP
        self.now = start
        self._due: list[tuple[float, int, int, Contact | None]] = []
        self._sequence = 0
        self.waiting: dict[str, list[Contact]] = {media: [] for media in MEDIA}
        self.alerting = dict.fromkeys(MEDIA, 0)
        # Contact -> when its interaction began; in that order, so the first is the oldest.
        self.interacting: dict[str, dict[Contact, float]] = {media: {} for media in MEDIA}
        self.idle = self.communicating = self.not_responding = self.exclusive = self.shared_desks = 0
        self.open_desks: list[Desk] = []
        self.minute_mark = (start, 0, 0)
        self._open_stretch(round((start - phase) / STRETCH))

    def _open_stretch(self, number: int) -> None:
        self._stretch = number
        self.rota, self._upcoming = draw_stretch(self.seed, self.profile, number)
        self._next = 0
        spare = self.on_queue - self.rota
        if spare > 0:
            # A busy agent stays until the contact ends: see _free_agent.
            self.idle -= min(self.idle, spare)
        else:
            self.idle -= spare
        self.version += 1

    def _run(self, to: float) -> None:
        due, phase = self._due, self.profile.phase
        while True:
            arrival = self._upcoming[self._next].arrived if self._next < len(self._upcoming) else math.inf
            turn = phase + (self._stretch + 1) * STRETCH
            event = due[0][0] if due else math.inf
            first = min(arrival, turn, event)
            if first > to:
                break
            self.version += 1
            if event == first:
                _, _, kind, contact = heapq.heappop(due)
                self._happen(first, kind, contact)
            elif arrival == first:
                contact = self._upcoming[self._next]
                self._next += 1
                self.waiting[contact.media].append(contact)
                if self.ledger is not None:
                    self.ledger.arrived(contact)
                self._offer(first)
                line = self.waiting[contact.media]
                if line and line[-1] is contact:
                    self._schedule(contact.gives_up, _GIVES_UP, contact)
            else:
                self._open_stretch(self._stretch + 1)
                self._offer(first)
        self.now = to

    def _schedule(self, at: float, kind: int, contact: Contact | None) -> None:
        self._sequence += 1
        heapq.heappush(self._due, (at, self._sequence, kind, contact))

    def _happen(self, at: float, kind: int, contact: Contact | None) -> None:
        if contact is None:
            if kind == _RESPONDS:
                self.not_responding -= 1
            else:
                self.communicating -= 1
            self._free_agent()
        elif kind == _GIVES_UP:
            self._give_up(contact, at)
            return
        elif kind == _ALERT_ENDS:
            self.alerting[contact.media] -= 1
            if contact.answered:
                self.interacting[contact.media][contact] = at
                if self.ledger is not None:
                    self.ledger.answered(contact, at)
                self._schedule(at + contact.handle, _FINISHES, contact)
                return
            # It rang out: back to its place in the line, and the agent is out for a while. The second
            # agent will pick up, or a contact could ring for ever.
            contact.answered = True
            contact.gives_up = max(contact.gives_up, at + 5.0)
            insort(self.waiting[contact.media], contact, key=_ARRIVED)
            self._schedule(contact.gives_up, _GIVES_UP, contact)
            if self._leave_desk(contact):
                self.not_responding += 1
                self._schedule(at + NOT_RESPONDING_SECONDS, _RESPONDS, None)
        elif kind == _FINISHES:
            del self.interacting[contact.media][contact]
            if self._leave_desk(contact):
                if contact.after:
                    self.communicating += 1
                    self._schedule(at + contact.after, _CALL_ENDS, None)
                else:
                    self._free_agent()
        self._offer(at)

    def _give_up(self, contact: Contact, at: float) -> None:
        line = self.waiting[contact.media]
        if contact in line:
            line.remove(contact)
            if self.ledger is not None:
                self.ledger.gave_up(contact, at)

    def _leave_desk(self, contact: Contact) -> bool:
        """Take the contact from its agent; true when that left the agent with none."""
        desk, contact.desk = contact.desk, None
        if desk is None:
            self.exclusive -= 1
            return True
        if desk.load == UTILIZATION:
            self.open_desks.append(desk)
        desk.load -= 1
        if desk.load:
            return False
        self.open_desks.remove(desk)
        self.shared_desks -= 1
        return True

    def _free_agent(self) -> None:
        """Make an agent idle, or let it go where the rota has become smaller."""
        if self.on_queue < self.rota:
            self.idle += 1

    def _offer(self, at: float) -> None:
        """Offer waiting contacts to agents who can take one."""
        for media in _ORDER:
            queue = self.waiting[media]
            while queue:
                if self.idle:
                    self.idle -= 1
                    contact = queue.pop(0)
                    if media in SHARED:
                        desk = contact.desk = Desk(load=1)
                        self.shared_desks += 1
                        self.open_desks.append(desk)
                    else:
                        self.exclusive += 1
                elif media in SHARED and self.open_desks:
                    contact = queue.pop(0)
                    desk = contact.desk = self.open_desks[0]
                    desk.load += 1
                    if desk.load == UTILIZATION:
                        self.open_desks.pop(0)
                else:
                    break
                self.alerting[media] += 1
                self._schedule(at + contact.alert, _ALERT_ENDS, contact)
