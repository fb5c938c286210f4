"""One organisation's parts together, on real sockets."""

from __future__ import annotations

import socket
import threading
import time

from queuetick.clock import Clock
from queuetick.events import Batch, Queue
from queuetick.genesys.client import Usage
from queuetick.genesys.org import Org
from queuetick.genesys.stats import today
from support.raw import RawServer, http, observations
from support.virtual import configuration

QUEUE = Queue("e8963ace-0000-4000-8000-000000000001")


def test_the_most_requests_that_a_daemon_has_under_way_fit_its_connections(caplog) -> None:
    """Four batches beside queue.stats, a refresh and what a reload asks: urllib3 would warn in the lines."""
    all_there = threading.Barrier(7)

    def speak(connection: socket.socket) -> bool:
        all_there.wait(10)
        connection.sendall(http(observations(QUEUE.id)))
        return True

    with RawServer(speak) as server:
        config = configuration(genesys_api_url=server.url, poll_concurrency=4)
        org = Org(config, clock=Clock(), emit=lambda *_: None, redact=lambda _: None)
        org.client.login()
        deadline, window = org.client._monotonic() + 10, today("UTC", time.time())

        def observe() -> None:
            org.client.observe(Batch(1, (QUEUE,)), cycle=1, scheduled_at="", deadline=deadline, usage=Usage())

        def stats() -> None:
            org.client.stats(
                [QUEUE], cycle=1, scheduled_at="", window=window, deadline=deadline, usage=Usage()
            )

        threads = [threading.Thread(target=ask) for ask in (*[observe] * 6, stats)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        org.close()
    assert [] == caplog.messages
