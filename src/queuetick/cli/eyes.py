"""What `run`, `once` and `demo` print where stdout is a terminal: a short line for each change, in place of JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from queuetick.lines.descriptors import Descriptor

if TYPE_CHECKING:
    from queuetick.config import Config
    from queuetick.events.thresholds import Threshold


def plain(config: Config) -> Config:
    """The configuration with the profile that can be read back; for a file the profile stays."""
    if config.output.path != "-":
        return config
    output = msgspec.structs.replace(config.output, profile="plain")
    return msgspec.structs.replace(config, output=output)


def plainly(load: Callable[[], Config]) -> Callable[[], Config]:
    """`load`, with what it loads made `plain`."""
    return lambda: plain(load())


class Terminal(Descriptor):
    """stdout as a destination of lines: what `queuetick tail` makes of them is written."""

    def __init__(self, thresholds: Iterable[Threshold]) -> None:
        from queuetick.watch.tail import Printer

        super().__init__(1)
        self._printer = Printer(sys.stdout, thresholds)
        self._left: list[bytes] = []
        """Texts that the terminal has not taken yet."""

    @property
    def unfinished(self) -> bool:
        return bool(self._left) or super().unfinished

    def write(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Take all lines, and write while there is room. Raises ReaderGone."""
        self._left += [text.encode() for text in self._printer.texts(lines)]
        done, error = super().write(self._left)
        del self._left[:done]
        return len(lines), error
