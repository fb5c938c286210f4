"""A simulator whose clock stands still, and a client that is logged in to it."""

from collections.abc import Iterator

import pytest
from simulator_client import Client, Clock

from queuetick.simulator import Simulator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulator(clock: Clock) -> Iterator[Simulator]:
    with Simulator(queues=45, seed=1, clock=clock) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator) -> Client:
    return Client(simulator)
