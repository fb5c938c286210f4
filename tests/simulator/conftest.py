"""A simulator whose clock stands still, and a client that is logged in to it."""

from collections.abc import Iterator

import pytest
from simulator_client import NOON, Client, Clock

from queuetick.simulator import Simulator


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[Simulator, Clock]]:
    """One for all tests: to start it and to replay its queues would cost most of their time."""
    clock = Clock()
    with Simulator(queues=45, seed=1, clock=clock) as simulator:
        yield simulator, clock


@pytest.fixture
def clock(running: tuple[Simulator, Clock]) -> Clock:
    running[1].now = NOON
    return running[1]


@pytest.fixture
def simulator(running: tuple[Simulator, Clock], clock: Clock) -> Simulator:
    running[0].reset()
    return running[0]


@pytest.fixture
def client(simulator: Simulator) -> Client:
    return Client(simulator)
