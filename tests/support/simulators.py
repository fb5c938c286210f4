"""Simulators that run on the machine's clock, and the environment of who may ask them."""

from __future__ import annotations

from typing import Any

from queuetick.simulator import Simulator

BUSY_HOUR = 10.5


def busy(queues: int = 5, **options: Any) -> Simulator:
    """A contact centre on a working day at BUSY_HOUR, whatever the clock says: at night nobody waits."""
    return Simulator(queues, hour=BUSY_HOUR, **options)


def access(url: str, client_id: str = "some-client", secret: str = "some-secret") -> dict[str, str]:
    """Environment variables for an API and its login at `url`."""
    return {"GENESYS_API_URL": url, "GENESYS_CLIENT_ID": client_id, "GENESYS_CLIENT_SECRET": secret}


def access_to(simulator: Simulator) -> dict[str, str]:
    return access(simulator.url, simulator.client_id, simulator.client_secret)
