"""The same facts under other names: a renderer turns a fact into the JSON of one line.

A renderer gets the fact, the UTC timestamp and the level, and returns the object without a newline.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from queuetick.events import Fact

Renderer = Callable[[Fact, str, str], bytes]

_encode = msgspec.json.Encoder(enc_hook=str).encode


def plain(fact: Fact, timestamp: str, level: str) -> bytes:
    """`timestamp`, `level`, `event` and the fact's fields, in that order: docs/events.md."""
    return b'{"timestamp":"%b","level":"%b",%b' % (timestamp.encode(), level.encode(), _encode(fact)[1:])


render: dict[str, Renderer] = {"plain": plain}
"""The renderers by the value of `output.profile`."""
