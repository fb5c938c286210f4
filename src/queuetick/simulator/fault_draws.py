"""Which fault a request meets, and when its answer comes: the seeded draws behind Faults."""

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from queuetick.simulator.fault_rules import RuleDraws
from queuetick.simulator.fault_values import ANSWER_FAULTS, LOGIN_FAULTS
from queuetick.simulator.faults import Faults


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn for one request."""

    fault: str | None = None
    """A name of ANSWER_FAULTS, or a status as text."""
    delay: float = 0.0
    """Seconds, on the real clock, before the answer."""


class FaultDraws:
    """The draws, in the order of the requests. Used by the serving thread alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.restart()

    def restart(self) -> None:
        """Begin the sequence of draws, the script and the counts of the rules again."""
        self.rules = RuleDraws(self._seed)
        self.rng = random.Random(f"{self._seed}/faults")  # noqa: S311 - chance, not secrecy
        self._script: tuple[str, ...] = ()
        self._step = 0

    def draw(self, faults: Faults, path: str) -> Drawn:
        if faults.only and not any(part in path for part in faults.only):
            return Drawn()
        delay = self._latency(faults)
        if faults.script is not self._script:
            self._script, self._step = faults.script, 0
        if self._step < len(self._script):
            step = self._script[self._step]
            self._step += 1
            return Drawn(None if step == "ok" else step, delay)
        return Drawn(self._by_chance(faults, "", ANSWER_FAULTS), delay)

    def draw_login(self, faults: Faults) -> Drawn:
        return Drawn(self._by_chance(faults, "login_", LOGIN_FAULTS), faults.login_latency)

    def _by_chance(self, faults: Faults, prefix: str, names: Iterable[str]) -> str | None:
        roll = self.rng.random()
        statuses: Mapping[int, float] = getattr(faults, f"{prefix}status")
        chances = [(str(status), chance) for status, chance in statuses.items()]
        chances += [(name, getattr(faults, prefix + name)) for name in names]
        for fault, chance in chances:
            roll -= chance
            if roll < 0:
                return fault
        return None

    def _latency(self, faults: Faults) -> float:
        if faults.latency <= 0:
            return 0.0
        if faults.latency_sigma <= 0:
            return min(faults.latency, faults.latency_max)
        drawn = self.rng.lognormvariate(math.log(faults.latency), faults.latency_sigma)
        return min(drawn, faults.latency_max)
