"""The simulator as a whole: a contact centre, its API and its control address, served from a thread."""

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from queuetick.simulator.api import Api, LoggedRequest, client_credentials
from queuetick.simulator.arrivals import offset_for
from queuetick.simulator.contact_centre import ContactCentre, Queue
from queuetick.simulator.control import Control
from queuetick.simulator.faults import Faults
from queuetick.simulator.server import Listener, api_server, plain_server

LOOPBACK = "127.0.0.1"


class Simulator:
    """A Genesys Cloud on loopback. Use it as a context manager; everything may be called from any thread.

    `clock` gives the simulator's time in epoch seconds: contacts, tokens and rate limits use it.
    Latency and hanging use real time, as the client's timeouts do.

    `hour` (0 to below 24) is the hour of a working day at which every queue begins, at any time of the clock;
    None: each queue uses the clock and its division's time zone. `trouble` is the share of queues (0 to 1)
    where many of the staff are away. Raises ValueError for values outside their range.
    """

    def __init__(  # noqa: PLR0917 - all of it is said by name, or not at all
        self,
        queues: int = 45,
        seed: int = 1,
        port: int = 0,
        host: str = LOOPBACK,
        control_port: int = 0,
        clock: Callable[[], float] = time.time,
        faults: Faults | None = None,
        hour: float | None = None,
        trouble: float = 0.0,
    ) -> None:
        self.client_id, self.client_secret = client_credentials(seed)
        self._clock = clock
        self._initial_faults = faults if faults is not None else Faults()
        if hour is not None and not 0 <= hour < 24:
            raise ValueError(f"hour must be at least 0 and below 24, not {hour}")
        offset = None if hour is None else offset_for(clock(), hour)
        self._centre = ContactCentre(seed, queues, offset, trouble)
        self._api = Api(self._centre, clock, self._initial_faults, (self.client_id, self.client_secret))
        # Protects what a request reads: faults, tokens, log.
        self._lock = threading.Lock()
        self._host = host
        self._ports = (port, control_port)
        self.url = ""
        self.control_url = ""

    # --- what is simulated ---

    @property
    def queues(self) -> list[Queue]:
        """Each with id, name, division_id and division_name; in the order of their making."""
        return self._centre.queues

    @property
    def queue_ids(self) -> list[str]:
        return [queue.id for queue in self._centre.queues]

    def truth(self, at: float | None = None) -> dict[str, dict[str, Any]]:
        """What the API would answer, faults aside, by queue id; at this instant, or any other (epoch s)."""
        return self._centre.truth(self._clock() if at is None else at, self.faults.media_names)

    def stats(self, since: float, until: float | None = None) -> dict[str, dict[str, Any]]:
        """What conversation aggregates would answer for an interval (epoch s), faults aside, by queue id.

        Of the contacts offered since `since`, what became of them until `until`, which is now if not given.
        """
        now = self._clock()
        until = now if until is None else min(until, now)
        return self._centre.stats(since, until, self.faults.media_names)

    def add_queue(self, name: str | None = None) -> Queue:
        return self._centre.add(name)

    def rename_queue(self, queue_id: str, name: str) -> None:
        self._centre.rename(queue_id, name)

    def remove_queue(self, queue_id: str) -> None:
        self._centre.remove(queue_id)

    # --- how it behaves ---

    @property
    def faults(self) -> Faults:
        return self._api.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        with self._lock:
            self._api.faults = faults

    def set_faults(self, **changes: Any) -> None:
        """Change the knobs named, leave the rest. Raises UnknownFaultError."""
        with self._lock:
            self._api.faults = Faults.from_mapping(changes, self._api.faults)

    def revoke_tokens(self) -> int:
        """Make every token invalid at once; how many there were."""
        with self._lock:
            return self._api.tokens.revoke_all()

    def reset(self) -> None:
        """As at the start: faults, queues, tokens, rate limit windows, log, the draws of chance."""
        with self._lock:
            self._api.faults = self._initial_faults
            self._api.tokens.revoke_all()
            self._api.draws.restart()
            self._api.log.clear()
            self._centre.restore()

    @property
    def requests(self) -> list[LoggedRequest]:
        """The last requests, oldest first."""
        with self._lock:
            return list(self._api.log)

    # --- serving ---

    def start(self) -> None:
        """Serve until stop(), in a thread of its own."""
        # Replay every queue up to the present now, so that the first answers take no longer than others.
        with self._centre.at(self._clock(), self.queue_ids):
            pass
        self._api.stopping.clear()
        listening = threading.Event()
        failure: list[BaseException] = []

        def serve() -> None:
            try:
                asyncio.run(self._serve(listening))
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
                failure.append(error)
            finally:
                listening.set()

        self._thread = threading.Thread(target=serve, name="simulator", daemon=True)
        self._thread.start()
        listening.wait()
        if failure:
            self._thread.join()
            raise failure[0]

    def stop(self) -> None:
        self._api.stopping.set()
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def _serve(self, listening: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        port, control_port = self._ports
        api = Listener(api_server(self._api, self._lock), self._host, port)
        control = Listener(plain_server(Control(self).respond), LOOPBACK, control_port)
        try:
            self.url = f"http://{_bracketed(self._host)}:{await api.start()}"
            self.control_url = f"http://{LOOPBACK}:{await control.start()}"
            listening.set()
            await self._stopping.wait()
        finally:
            await api.stop()
            await control.stop()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
