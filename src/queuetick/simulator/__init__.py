"""A Genesys Cloud in one process, over real HTTP. Imports nothing of the rest of queuetick.

    with Simulator(queues=45, seed=1) as simulator:
        print(simulator.url)

docs/simulator.md has the goals, the limits and every knob.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from queuetick.simulator.api import LoggedRequest
    from queuetick.simulator.faults import Faults, Rule, UnknownFaultError
    from queuetick.simulator.simulator import Simulator

__all__ = ["Faults", "LoggedRequest", "Rule", "Simulator", "UnknownFaultError"]

# Simulator needs aiohttp, an extra, and the faults msgspec; the command's arguments must need neither.
_MODULES = {"Simulator": "simulator", "LoggedRequest": "api"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'faults')}"), name)
