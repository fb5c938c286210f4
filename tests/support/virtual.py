"""An hour in a moment: cycles on a clock that only moves when somebody waits, against a simulator without a wire.

Everything from `CycleRunner` down to the SDK is real; only time, sockets and the destination of the lines are not.
"""

from __future__ import annotations

import math
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

import msgspec

from queuetick.clock import Clock, next_tick
from queuetick.config import Config, Credentials, Genesys, Log, Metrics, Output, Poll, Queues, Stats
from queuetick.events import Batch, CycleReport, QueueSnapshot
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import Transient, Unreachable
from queuetick.genesys.org import Org
from queuetick.genesys.queries import Answer
from queuetick.genesys.rate_limit import RateLimiter
from queuetick.genesys.transport import MAX_BODY, Response
from queuetick.lines import Emitter
from queuetick.polling.discovery import Discovery
from queuetick.polling.runner import CycleRunner
from queuetick.simulator import Faults
from queuetick.simulator.api import Api, Outcome, Request
from queuetick.simulator.arrivals import offset_for
from queuetick.simulator.contact_centre import ContactCentre
from support.collect import Collected

EPOCH = 1_795_492_800.0
"""2026-11-24T04:00:00Z."""

MIDNIGHT_AT_EPOCH = "Etc/GMT+4"
"""Where no day of statistics has passed yet: to replay it costs more than the cycles of a test."""

HOUR = 3600.0


class VirtualTime:
    """Both clocks. A wait moves them at once; who asks for an alarm is called when they pass it."""

    def __init__(self, start: float = EPOCH) -> None:
        self._lock = threading.RLock()
        self._monotonic = 1000.0
        self._offset = start - 1000.0
        self._alarm: tuple[float, Callable[[float], None]] | None = None
        self.stopping = False
        self.waited: list[float] = []

    def monotonic(self) -> float:
        return self._monotonic

    def now(self) -> float:
        return self._monotonic + self._offset

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.advance(seconds)
        return self.stopping

    def advance(self, seconds: float) -> None:
        """Let time pass; several threads that wait at once wait together."""
        if seconds > 0:
            self.advance_to(self._monotonic + seconds)

    def advance_to(self, monotonic: float) -> None:
        with self._lock:
            while self._alarm is not None and self._alarm[0] <= monotonic:
                (at, ring), self._alarm = self._alarm, None
                self._monotonic = max(self._monotonic, at)
                ring(at)
            self._monotonic = max(self._monotonic, monotonic)

    def alarm(self, monotonic: float, ring: Callable[[float], None]) -> None:
        """Call `ring(monotonic)` when time reaches it; replaces an earlier alarm."""
        self._alarm = (monotonic, ring)

    def silence(self) -> None:
        self._alarm = None

    def set_wall_clock(self, by: float) -> None:
        self._offset += by

    def clock(self) -> Clock:
        return Clock(wait=self.wait, monotonic=self.monotonic, now=self.now)


class MemoryOutput(Collected):
    """An output that keeps all lines."""


Delay = Callable[[], float]


class WirelessTransport:
    """Stands where real sockets are: hands requests to the simulator's API, and lets virtual time pass for them."""

    def __init__(self, api: Api, time: VirtualTime, *, travel: Delay = lambda: 0.02) -> None:
        """`travel()` gives the seconds that a request and its answer take on the way, each."""
        self.api = api
        self.down = False
        self.requests: list[tuple[float, str, int]] = []
        self.answered: list[float] = []
        self._time = time
        self._travel = travel
        self._turn = threading.Lock()

    def send(self, options: Any, *, timeout: float, most: int = MAX_BODY) -> Response:
        """As Transport.send."""
        url = urlsplit(options.url)
        target = url.path + (f"?{urlencode(options.query_params)}" if options.query_params else "")
        left_at = self._time.monotonic()
        there = self._travel()
        if self.down:
            raise Unreachable("connection failed: Connection refused")
        if there > timeout:
            self._time.advance(timeout)
            raise Unreachable(f"no answer within {timeout:g} s")
        self._time.advance(there)
        body = options.body or ""
        request = Request(
            options.method,
            target,
            options.headers.get("Authorization"),
            options.headers.get("Content-Type", ""),
            body.encode() if isinstance(body, str) else body,
        )
        with self._turn:
            outcome = self.api.respond(request)
            self.requests.append((left_at, url.path, outcome.answer.status))
        return self._arrive(outcome, timeout - there, most)

    def _arrive(self, outcome: Outcome, left: float, most: int) -> Response:
        delay = outcome.delay + self._travel()
        if outcome.broken == "hang" or delay > left:
            self._time.advance(left)
            raise Unreachable("no answer in time")
        self._time.advance(delay)
        if outcome.broken is not None:
            raise Unreachable("connection failed: Connection reset by peer")
        answer = outcome.answer
        if len(answer.body) > most:
            raise Transient(f"the answer is larger than {most} bytes", status=answer.status)
        self.answered.append(self._time.monotonic())
        return Response(answer.status, "", _Headers(answer.headers), answer.body)

    def abort(self) -> None: ...
    def close(self) -> None: ...


class _Headers(dict[str, str]):
    """Header names in any case, as urllib3 has them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def configuration(
    *, client: tuple[str, str] = ("id-of-client", "secret-of-client"), **settings: Any
) -> Config:
    """A configuration from `section_key` settings, such as `poll_interval=1`."""
    sections: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        section, _, key = name.partition("_")
        sections.setdefault(section, {})[key] = value
    return Config(
        genesys=Genesys(**{"api_url": "http://127.0.0.1:1", **sections.get("genesys", {})}),
        queues=Queues(**sections.get("queues", {})),
        poll=Poll(**sections.get("poll", {})),
        output=Output(**sections.get("output", {})),
        log=Log(),
        metrics=Metrics(),
        credentials=Credentials(*client),
        stats=Stats(**{"timezone": MIDNIGHT_AT_EPOCH} | sections.get("stats", {})),
    )


class World:
    """Cycles on the grid, against a contact centre of `queues` queues, in virtual time.

    It is closed at the end of its test; where one test makes many, the test closes each.
    """

    open: ClassVar[list[World]] = []

    def __init__(
        self,
        *,
        queues: int = 45,
        seed: int = 1,
        faults: Faults | None = None,
        travel: Delay = lambda: 0.02,
        emit: Callable[..., None] | None = None,
        hour: float | None = None,
        trouble: float = 0.0,
        **settings: Any,
    ) -> None:
        """`settings` are those of `configuration`; `emit` takes the facts in place of `output`.

        `hour` of a working day, at which every queue begins, and `trouble` are those of the simulator.
        """
        self.time = VirtualTime()
        offset = None if hour is None else offset_for(self.time.now(), hour)
        self.centre = ContactCentre(seed, queues, offset, trouble)
        client = (f"{seed:08d}-client-id", f"{seed:08d}_client_secret")
        self.api = Api(self.centre, self.time.now, faults or Faults(), client)
        self.transport = WirelessTransport(self.api, self.time, travel=travel)
        self.output = MemoryOutput()
        self.emitter = Emitter(self.output, now=self.time.now)
        self.emitter.redact(client[1])
        self._emit = emit or self.emitter.emit
        self.reports: list[CycleReport] = []
        self.tokens: list[str] = []
        self.random = random.Random(seed)
        self.config = configuration(client=client, **settings)
        self.cycles = CycleRunner(
            self.new_org(self.config),
            clock=self.time.clock(),
            emit=self._emit,
            uniform=self.random.uniform,
            background=lambda work: work(),
        )
        self._refresh_at = self.time.monotonic() + self.config.queues.refresh
        self.open.append(self)

    def new_org(self, config: Config, *, earlier: Org | None = None) -> Org:
        return Org(
            config,
            clock=self.time.clock(),
            emit=self._emit,
            redact=self._redact,
            uniform=self.random.uniform,
            earlier=earlier,
            transport=self.transport,  # type: ignore[arg-type]
        )

    def reload(self, config: Config, org: Org | None = None) -> None:
        """Put `config` in force as daemon/reload.py does, with a org of its own."""
        earlier = self.cycles.org
        org = org or self.new_org(config, earlier=earlier)
        same = config.queues == self.cycles.config.queues
        known = self.cycles.discovery if same else None
        discovery = Discovery(
            org.client, config.queues, clock=self.time.clock(), emit=self._emit, known=known
        )
        org.limits.configure(config.poll.requests_per_minute)
        self.cycles.give(org, config, discovery)
        earlier.close()

    def _redact(self, token: str) -> None:
        self.tokens.append(token)
        self.emitter.redact(token, passing=True)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.config.credentials.client_secret, *self.tokens)

    def run(self, cycles: int, *, before: Callable[[int], None] = lambda _: None) -> None:
        """Tick until cycle number `cycles` has been accounted for; `before(number)` comes before each tick.

        A grid place that passes while a cycle runs is its overrun, as APScheduler reports it; one that passes while
        nothing runs is a stall, as after a suspend.
        """
        while self.cycles.number < cycles:
            place = self._next_place()
            self.time.advance(place - self.time.now())
            before(self.cycles.number + 1)
            if self.time.monotonic() >= self._refresh_at:
                self._refresh_at = self.time.monotonic() + self.config.queues.refresh
                self.cycles.refresh()
            now = self.time.now()
            interval = self.cycles.interval
            scheduled = int(now / interval + 1e-6) * interval
            self._watch_overruns()
            report = self.cycles.tick(scheduled)
            if report is not None:
                self.reports.append(report)
            self.time.silence()

    def _next_place(self) -> float:
        return next_tick(self.time.now(), self.cycles.interval)

    def _watch_overruns(self) -> None:
        wall = self._next_place()

        def ring(_: float) -> None:
            if self.cycles.running is not None:
                self.cycles.overrun(wall)
                self._watch_overruns()

        self.time.alarm(self.time.monotonic() + wall - self.time.now(), ring)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.output.lines]

    def events(self, name: str) -> list[dict[str, Any]]:
        named = f'"event":"{name}"'.encode()
        found = [msgspec.json.decode(line) for line in self.output.lines if named in line]
        return [line for line in found if line["event"] == name]

    @property
    def text(self) -> bytes:
        return b"".join(self.output.lines)

    def close(self) -> None:
        self.cycles.close()
        self.open.remove(self)


class Ledger:
    """Where the API counts a token's requests: strictly, in every sliding and in fixed windows at once."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.refused = 0
        self._recent: deque[float] = deque()
        self._window: tuple[float, int] = (-math.inf, 0)

    def count(self, now: float) -> None:
        """A request arrives."""
        while self._recent and self._recent[0] <= now - 60.0:
            self._recent.popleft()
        start, used = self._window
        if now - start >= 60.0:
            start, used = now, 0
        self._recent.append(now)
        self._window = (start, used + 1)
        if len(self._recent) > self.limit or used + 1 > self.limit:
            self.refused += 1


class QuickObserver:
    """Answers for every queue after leave from the real budget, as genesys/client.py does, without its work."""

    def __init__(self, limits: RateLimiter, ledger: Ledger, time: VirtualTime, travel: Delay) -> None:
        self._limits, self._ledger, self._time, self._travel = limits, ledger, time, travel
        self._turn = threading.Lock()

    def observe(
        self, batch: Batch, *, cycle: int, scheduled_at: str, deadline: float, usage: Usage
    ) -> Answer:
        self._limits.acquire("observations", deadline)
        usage.requests += 1
        self._time.advance(self._travel())
        with self._turn:
            self._ledger.count(self._time.monotonic())
        self._time.advance(self._travel())
        self._limits.release("observations")
        return Answer([quick_snapshot(cycle, queue.id) for queue in batch.queues], [])

    def retry_refused_metrics(self, *_args: Any, **_options: Any) -> None: ...


def quick_snapshot(cycle: int, queue_id: str) -> QueueSnapshot:
    return QueueSnapshot(
        cycle=cycle,
        scheduled_at="2026-11-24T04:00:15.000Z",
        queue_id=queue_id,
        waiting=1,
        agents_available=2,
        interacting=3,
        alerting=0,
        longest_wait_seconds=4.0,
        agents_on_queue=5,
        agents_by_status=None,
        members=6,
        members_joined=6,
        media=None,
        observed_at="2026-11-24T04:00:00.000Z",
    )
