"""A Genesys Cloud in one process, over real HTTP. Imports nothing of the rest of queuetick.

    with Simulator(queues=45, seed=1) as simulator:
        print(simulator.url)

docs/simulator.md has the goals, the limits and every knob.
"""

from typing import TYPE_CHECKING, Any

from queuetick.simulator.faults import Faults, Rule, UnknownFaultError

if TYPE_CHECKING:
    from queuetick.simulator.api import LoggedRequest
    from queuetick.simulator.simulator import Simulator

__all__ = ["Faults", "LoggedRequest", "Rule", "Simulator", "UnknownFaultError"]


def __getattr__(name: str) -> Any:
    # Simulator needs aiohttp, an extra; the command's arguments and the faults must not.
    if name == "Simulator":
        from queuetick.simulator.simulator import Simulator

        return Simulator
    if name == "LoggedRequest":
        from queuetick.simulator.api import LoggedRequest

        return LoggedRequest
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
