"""A terminal: its mode, its size, its keys' bytes, and drawing only what has changed."""

from __future__ import annotations

import os
import select
import signal
import termios
import tty
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from rich.color import ColorSystem

from queuetick.watch import styles

# The alternate screen keeps the shell's scrollback as it was. Without automatic wrapping a line too wide
# just after a resize costs its own end and not the lines below.
# 1000 and 1006: the mouse's wheel and clicks; with Shift held the terminal selects text as ever.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?1000h\x1b[?1006h\x1b[2J"
_LEAVE = "\x1b[?1006l\x1b[?1000l\x1b[?7h\x1b[?25h\x1b[?1049l"
# Terminals that know synchronized output show a frame at once; the others ignore it.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
ENDING = (signal.SIGINT, signal.SIGTERM)
OF_A_SCREEN = (*ENDING, signal.SIGWINCH, signal.SIGTSTP)


class Painter:
    """Turns frames into what must be written so that the terminal shows them. Pure."""

    def __init__(self, color_system: ColorSystem | None, *, no_color: bool = False) -> None:
        self._color_system = color_system
        self._no_color = no_color
        self._shown: list[str] = []
        self._size = (0, 0)

    def forget(self) -> None:
        """The terminal no longer shows what was drawn."""
        self._shown = []

    def paint(self, frame: Sequence[styles.Line], size: tuple[int, int]) -> str:
        """Escape sequences for the lines that differ from the last frame; empty when none does."""
        if size != self._size:
            self.forget()
            self._size = size
        drawn = [styles.ansi(line, self._color_system, no_color=self._no_color) for line in frame]
        before = self._shown
        changed = [
            f"\x1b[{number + 1};1H{text}"
            for number, text in enumerate(drawn)
            if number >= len(before) or before[number] != text
        ]
        self._shown = drawn
        return f"{_BEGIN}{''.join(changed)}\x1b[0m{_END}" if changed else ""


class Terminal:
    """The screen on `output` and the keyboard on `keyboard`, both descriptors; no keyboard: None."""

    def __init__(self, output: int, keyboard: int | None, painter: Painter, encoding: str = "utf-8") -> None:
        self._output = output
        self.keyboard = keyboard
        self._painter = painter
        self._encoding = encoding
        self._mode: list[int | list[bytes | int]] | None = None

    def enter(self) -> None:
        """Take the screen over and have every key at once; Ctrl-C and Ctrl-Z stay signals."""
        if self.keyboard is not None:
            self._mode = self._mode or termios.tcgetattr(self.keyboard)
            tty.setcbreak(self.keyboard, termios.TCSADRAIN)
        self._painter.forget()
        self._write(_ENTER)

    def leave(self) -> None:
        """Give the screen and the keyboard back as they were."""
        # A terminal that is gone has nothing to be put right.
        with suppress(OSError, termios.error):
            self._write(_LEAVE)
        if self.keyboard is not None and self._mode is not None:
            with suppress(OSError, termios.error):
                termios.tcsetattr(self.keyboard, termios.TCSADRAIN, self._mode)
            self._mode = None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            size = os.get_terminal_size(self._output)
        except OSError:
            return 80, 24
        # A serial console says 0 by 0.
        return size.columns or 80, size.lines or 24

    def draw(self, frame: Sequence[styles.Line], size: tuple[int, int]) -> None:
        self._write(self._painter.paint(frame, size))

    def keys(self) -> bytes | None:
        """Bytes that were typed; None if the keyboard is gone. Call it when `keyboard` is readable."""
        if self.keyboard is None:
            return None
        try:
            return os.read(self.keyboard, 1024) or None
        except OSError:
            return None

    def _write(self, text: str) -> None:
        data = text.encode(self._encoding, "replace")
        while data:
            data = data[os.write(self._output, data) :]


class Doorbell:
    """Signals as something to wait for: a descriptor to wait on, and the numbers of those that came."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def rung(self) -> list[int]:
        try:
            return list(os.read(self.descriptor, 256))
        except BlockingIOError:
            return []


@contextmanager
def doorbell(signals: Iterable[signal.Signals]) -> Iterator[Doorbell]:
    """Catch `signals` while inside. Only in the main thread, as Python has it."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in signals}
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield Doorbell(reading)
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


Wait = Callable[[Iterable[int], float | None], set[int]]


def wait_readable(descriptors: Iterable[int], timeout: float | None) -> set[int]:
    """Those that can be read without blocking; none after `timeout` seconds."""
    return set(select.select(list(descriptors), [], [], timeout)[0])


def suspend() -> None:
    """Stop this process as Ctrl-Z would have; returns when it is continued."""
    os.kill(os.getpid(), signal.SIGSTOP)
