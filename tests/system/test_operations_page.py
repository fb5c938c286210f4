"""docs/operations.md speaks of everything that can happen. Needs no systemd."""

from __future__ import annotations

import re

from queuetick.events import EVENTS
from queuetick.exit_codes import ExitCode

from .booted import TREE

PAGE = (TREE / "docs" / "operations.md").read_text(encoding="utf-8")


def rows(heading: str) -> set[str]:
    """The first cells of the table under a heading."""
    section = PAGE.split(f"### {heading}\n")[1].split("\n#")[0]
    return set(re.findall(r"^\| `?([\w.]+)`? \|", section, re.MULTILINE))


def test_every_event_has_its_advice() -> None:
    """Neither an event without a row nor a row without an event."""
    assert {kind.__struct_config__.tag for kind in EVENTS} == rows("Events") - {"event"}


def test_every_exit_code_has_its_advice() -> None:
    """Neither a code without a row nor a row without a code."""
    assert {str(code.value) for code in ExitCode} == rows("Exit codes") - {"code"}
