"""How many contacts waited in one queue, cycle by cycle. Two bytes a cycle: 5,000 queues keep an hour of it."""

from __future__ import annotations

from array import array

HISTORY = 360
"""Cycles that are kept: an hour and a half at 15 s, an hour at 10 s."""
GAP, UNKNOWN = -2, -1
"""A cycle without a snapshot, and one whose snapshot did not say."""
_MOST = 32_767


class History:
    """The values of consecutive cycles; `last` is the ordinal of the newest."""

    __slots__ = ("last", "values")

    def __init__(self) -> None:
        self.values = array("h")
        self.last = 0

    def put(self, ordinal: int, waiting: int | None) -> None:
        """Set one cycle's value; the cycles that were left out in between are gaps."""
        value = (
            UNKNOWN if waiting is None else waiting if 0 <= waiting < _MOST else min(max(waiting, 0), _MOST)
        )
        values = self.values
        step = ordinal - self.last if values else 1
        if step > 0:
            if step > 1:
                values.extend([GAP] * (min(step, HISTORY) - 1))
            values.append(value)
            self.last = ordinal
            if len(values) > 2 * HISTORY:
                del values[: len(values) - HISTORY]
        elif -step < len(values):
            values[step - 1] = value

    def window(self, newest: int, cycles: int) -> list[int]:
        """The values of `cycles` cycles up to the one whose ordinal is `newest`, GAP where there is none."""
        ahead = newest - self.last
        if ahead >= cycles or not self.values:
            return [GAP] * cycles
        found = self.values[max(0, len(self.values) - HISTORY) :]
        if ahead < 0:
            found = found[:ahead]
        taken = found[max(0, len(found) - (cycles - max(ahead, 0))) :].tolist()
        return [GAP] * (cycles - max(ahead, 0) - len(taken)) + taken + [GAP] * max(ahead, 0)

    def copy(self) -> History:
        twin = History()
        twin.values, twin.last = self.values[:], self.last
        return twin
