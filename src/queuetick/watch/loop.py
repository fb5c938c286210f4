"""The loop of the live table: read what is there, take keys, redraw when something is to be seen."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, tzinfo

from queuetick.watch.follow import Source
from queuetick.watch.header import Scene
from queuetick.watch.input import Asked, Keyboard, press
from queuetick.watch.screen import Screen
from queuetick.watch.state import Board
from queuetick.watch.terminal import Doorbell, Terminal, Wait
from queuetick.watch.view import View

REDRAW_EVERY = 0.25
"""Seconds between redraws at least, when lines come in."""
KEY_REDRAW_EVERY = 1 / 16
"""The same after a key: scrolling must feel immediate, a held key must not cost a core."""
AGE_EVERY = 1.0
"""Ages are counted in seconds."""
POLL_EVERY = 0.25
"""Seconds between looks at a file that has no more to read."""
ESCAPE_WAIT = 1 / 16
"""Seconds after which an escape byte was the Escape key and no sequence."""


@dataclass(eq=False)
class Live:
    """One watch. `clock` is seconds since 1970, `monotonic` only ever rises, `wait` is a `select`."""

    source: Source
    terminal: Terminal
    view: View
    board: Board
    _: KW_ONLY
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    wait: Wait
    suspend: Callable[[], None]
    zone: tzinfo | None = UTC
    speed: float | None = None
    stopped: bool = field(default=False, init=False)
    _keyboard: Keyboard = field(default_factory=Keyboard, init=False)
    _screen: Screen = field(default_factory=Screen, init=False)
    _held: tuple[Board, float] | None = field(default=None, init=False)
    _drawn_at: float = field(default=float("-inf"), init=False)
    _drawn_lines: int = field(default=-1, init=False)
    _asked_at: float | None = field(default=None, init=False)

    def run(self, bell: Doorbell) -> None:
        """Until a key or a signal ends it, or the input ends and there is no keyboard to say more."""
        self.terminal.enter()
        try:
            while not self.stopped:
                self.step(bell)
        finally:
            self.terminal.leave()
            self.source.close()

    def step(self, bell: Doorbell) -> None:
        """Wait for the next thing that happens, and do it."""
        ready = self.wait(self._descriptors(bell), self._timeout())
        if bell.descriptor in ready:
            self._signals(bell)
        if self.terminal.keyboard is not None and self.terminal.keyboard in ready:
            self._keys(self.terminal.keys())
        elif self._keyboard.undecided:
            self._press(self._keyboard.settle())
        source = self.source
        if not source.ended and (source.descriptor is None or source.descriptor in ready):
            self.board.feed(source.read(), self.clock())
        if source.ended and self.terminal.keyboard is None:
            self.stopped = True
        if self._redraw_in() <= 0 and not self.stopped:
            self._draw()

    def _descriptors(self, bell: Doorbell) -> list[int]:
        some = (bell.descriptor, self.terminal.keyboard, self.source.descriptor)
        return [descriptor for descriptor in some if descriptor is not None]

    def _timeout(self) -> float:
        timeout = self._redraw_in()
        if self.source.descriptor is None and not self.source.ended:
            timeout = 0.0 if self.source.behind else min(timeout, POLL_EVERY)
        if self._keyboard.undecided:
            timeout = min(timeout, ESCAPE_WAIT)
        return max(0.0, timeout)

    def _redraw_in(self) -> float:
        since = self.monotonic() - self._drawn_at
        if self._asked_at is not None:
            return KEY_REDRAW_EVERY - since
        return (REDRAW_EVERY if self.board.lines_read != self._drawn_lines else AGE_EVERY) - since

    def _signals(self, bell: Doorbell) -> None:
        for number in bell.rung():
            if number in {signal.SIGINT, signal.SIGTERM}:
                self.stopped = True
            elif number == signal.SIGTSTP:
                self.terminal.leave()
                self.suspend()
                self.terminal.enter()
            self._ask()

    def _keys(self, data: bytes | None) -> None:
        if data is None:
            # Nobody can press q any more, so nobody is looking.
            self.stopped = True
            return
        self._press(self._keyboard.feed(data))

    def _press(self, keys: list[str]) -> None:
        for key in keys:
            if key.startswith("click:"):
                _, column, line = key.split(":")
                self._screen.click(self.view, int(column), int(line))
                self._ask()
                continue
            match press(self.view, key, self.terminal.size[1] - 6, self._screen.columns()):
                case Asked.QUIT:
                    self.stopped = True
                case Asked.PAUSE:
                    self._held = None if self._held else (self.board.copy(), self.clock())
                    self._ask()
                case Asked.OPEN:
                    self._screen.open(self.view)
                    self._ask()
                case Asked.REDRAW:
                    self._ask()

    def _ask(self) -> None:
        self._asked_at = self.monotonic()

    def _draw(self) -> None:
        size = self.terminal.size
        self.terminal.draw(self._screen.frame(self._scene(), *size), size)
        self._drawn_at = self.monotonic()
        self._drawn_lines = self.board.lines_read
        self._asked_at = None

    def _scene(self) -> Scene:
        now, board, held_back = self.clock(), self.board, None
        if self._held is not None:
            board, now = self._held
            held_back = self.board.lines_read - board.lines_read
        ended = self.source.ended
        # After the end nothing can be fresh any more; what counts is what was stale when it came.
        as_of = board.newest_at if ended else max(now, board.newest_at)
        return Scene(
            board, self.view, now, as_of, ended, held_back=held_back, zone=self.zone, speed=self.speed
        )
