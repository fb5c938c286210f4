"""An output that keeps its lines, for tests of what is written rather than where."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from queuetick.events import Fact
from queuetick.lines import Emitter
from queuetick.lines.output import PRIORITIES, Line, Recovery

NOW = 1795492815.412
STAMP = "2026-11-24T04:00:15.412Z"


class Collected:
    """An output that keeps its lines."""

    def __init__(self, *, journal: bool = False) -> None:
        self.lines: list[bytes] = []
        self.writes = 0
        self.closed = False
        self.dropped = 0
        self.stuck_seconds = 0.0
        self.on_recovery: Callable[[Recovery], None] | None = None
        self._journal = journal

    def append(self, lines: Sequence[Line]) -> bool:
        self.writes += 1
        self.lines += [
            PRIORITIES[line.level] + line.content if self._journal else line.content for line in lines
        ]
        return True

    def drain(self, timeout: float | None) -> bool:
        return True

    def close(self, timeout: float | None) -> list[Line]:
        return []

    hand_over = close

    def end(self, timeout: float | None) -> bool:
        return True

    def reopen(self) -> None: ...

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


def emitter(*, journal: bool = False, **options: Any) -> tuple[Emitter, Collected]:
    output = Collected(journal=journal)
    return Emitter(output, now=lambda: NOW, **options), output


def written(*facts: Fact, **options: Any) -> list[dict[str, Any]]:
    writer, output = emitter(**options)
    writer.emit(*facts)
    return output.objects
