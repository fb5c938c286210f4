"""An output that keeps its lines, for tests of what is written rather than where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from queuetick.events import Fact
from queuetick.lines import Emitter
from queuetick.lines.buffering import BufferedOutput

NOW = 1795492815.412
STAMP = "2026-11-24T04:00:15.412Z"


class Collected(BufferedOutput):
    def __init__(self) -> None:
        super().__init__("memory")
        self.lines: list[bytes] = []
        self.writes = 0

    def _write(self, lines: Sequence[bytes]) -> int:
        self.lines += lines
        self.writes += 1
        return len(lines)

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


def emitter(**options: Any) -> tuple[Emitter, Collected]:
    output = Collected()
    return Emitter(output, now=lambda: NOW, **options), output


def written(*facts: Fact, **options: Any) -> list[dict[str, Any]]:
    writer, output = emitter(**options)
    writer.emit(*facts)
    return output.objects
