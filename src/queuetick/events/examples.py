"""One realistic line for each event, from examples.jsonl: the examples of docs/events.md and of the JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Union

from msgspec import json

from queuetick.events.events import EVENTS, Fact

LINES: tuple[bytes, ...] = tuple(Path(__file__).with_name("examples.jsonl").read_bytes().splitlines())
"""As the plain profile writes them, without the newline, in the order of `EVENTS`."""

_decoder = json.Decoder(Union[EVENTS])  # noqa: UP007 - made of values
EXAMPLES: tuple[Fact, ...] = tuple(map(_decoder.decode, LINES))
"""The same as facts."""
