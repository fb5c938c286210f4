"""Bytes from the terminal to keys, and keys to changes of the view. Pure."""

from __future__ import annotations

import codecs
import enum
import re

from queuetick.watch.sort import Sort
from queuetick.watch.view import Pane, View

_SEQUENCES = {
    b"[A": "up",
    b"[B": "down",
    b"OA": "up",
    b"OB": "down",
    b"[5~": "pageup",
    b"[6~": "pagedown",
    b"[H": "home",
    b"[F": "end",
    b"OH": "home",
    b"OF": "end",
    b"[1~": "home",
    b"[4~": "end",
}
_CONTROLS = {
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x15": "erase",
    "\x03": "quit",
}
LAST = 1 << 60
_FINAL = range(0x40, 0x7F)
_SORTS = {
    "s": Sort.SEVERITY,
    "w": Sort.WAITING,
    "l": Sort.LONGEST,
    "a": Sort.AVAILABLE,
    "n": Sort.NAME,
}
_MOUSE = re.compile(rb"\[<(\d+);(\d+);(\d+)([Mm])")
_WHEEL = {64: "wheelup", 65: "wheeldown"}
WHEEL_ROWS = 3


class Keyboard:
    """Decodes what a terminal sends. A sequence or a character may come in two pieces."""

    def __init__(self) -> None:
        self._pending = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")

    @property
    def undecided(self) -> bool:
        """True while an escape byte may be the Escape key or the start of a sequence."""
        return bool(self._pending)

    def feed(self, data: bytes) -> list[str]:
        """Names of keys: one printable character, or a word such as `up`."""
        data = self._pending + data
        self._pending = b""
        keys: list[str] = []
        while data:
            text, escape, sequence = data.partition(b"\x1b")
            keys += self._characters(text)
            if not escape:
                break
            length = _length(sequence)
            if length is None:
                self._pending = escape + sequence
                break
            keys.append(_key(sequence[:length]))
            data = sequence[length:]
        return keys

    def settle(self) -> list[str]:
        """Nothing followed the escape byte in time: it was the key."""
        pending, self._pending = self._pending, b""
        return ["escape"] if pending else []

    def _characters(self, data: bytes) -> list[str]:
        keys = [_CONTROLS.get(char, char) for char in self._decoder.decode(data)]
        return [key for key in keys if key.isprintable()]


def _length(sequence: bytes) -> int | None:
    """How many bytes after ESC belong to it: 0 for the key alone, None while that cannot be said."""
    if not sequence:
        return None
    if sequence[:1] == b"O":
        return 2 if len(sequence) > 1 else None
    if sequence[:1] != b"[":
        return 0
    for index, byte in enumerate(sequence[1:], 1):
        if byte in _FINAL:
            return index + 1
    return None


def _key(sequence: bytes) -> str:
    """The name of a sequence; of a mouse's `wheelup`, `wheeldown` or `click:COLUMN:ROW`, both counted from 0."""
    if not sequence:
        return "escape"
    if mouse := _MOUSE.fullmatch(sequence):
        button, column, row = (int(part) for part in mouse.groups()[:3])
        if button == 0 and mouse[4] == b"M":
            return f"click:{column - 1}:{row - 1}"
        return _WHEEL.get(button, "unknown")
    return _SEQUENCES.get(sequence, "unknown")


class Asked(enum.Enum):
    """What a key wants that the view cannot do by itself."""

    NOTHING = enum.auto()
    REDRAW = enum.auto()
    OPEN = enum.auto()
    """The detail of the queue that the cursor is on."""
    PAUSE = enum.auto()
    QUIT = enum.auto()


def press(view: View, key: str, page: int, columns: tuple[Sort, ...] = ()) -> Asked:
    """Change the view as the key says. `page`: rows that a page key scrolls. `columns`: what `<` and `>` go through."""
    if key == "quit":
        return Asked.QUIT
    if view.typing:
        return _type(view, key)
    if view.pane is Pane.HELP and key != "q":
        return _close(view)
    if _reorder(view, key, columns):
        view.offset, view.cursor = 0, None
        return Asked.REDRAW
    if (steps := _steps(key, page)) is not None:
        view.move += steps
        return Asked.REDRAW
    match key:
        case "q":
            return Asked.QUIT
        case " ":
            return Asked.PAUSE
        case "/":
            view.typing = True
        case "enter":
            return Asked.OPEN if view.pane is not Pane.DETAIL else _close(view)
        case "e" | "?" | "h":
            wanted = Pane.EVENTS if key == "e" else Pane.HELP
            view.pane = Pane.NONE if view.pane is wanted else wanted
        case "escape":
            return _close(view)
        case _:
            return Asked.NOTHING
    return Asked.REDRAW


def _close(view: View) -> Asked:
    """Take away what was opened last: the pane, else the cursor, else the filter."""
    if view.pane is not Pane.NONE:
        view.pane = Pane.NONE
    elif view.cursor is not None:
        view.cursor, view.offset = None, 0
    else:
        view.words = ""
    return Asked.REDRAW


def _reorder(view: View, key: str, columns: tuple[Sort, ...]) -> bool:
    """Change which rows come, or in which order; False if the key does not."""
    if key in _SORTS:
        view.sort = _SORTS[key]
    elif key in {"<", ">"} and columns:
        place = columns.index(view.sort) if view.sort in columns else 0
        view.sort = columns[(place + (1 if key == ">" else -1)) % len(columns)]
    elif key == "r":
        view.reverse = not view.reverse
    elif key == "p":
        view.problems = not view.problems
    elif key == "d":
        view.grouped = not view.grouped
    else:
        return False
    return True


def _steps(key: str, page: int) -> int | None:
    """Rows that a key moves the cursor down; None if it does not. The screen stops it at the first and last row."""
    steps = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -page, "pagedown": page}
    steps |= {"wheelup": -WHEEL_ROWS, "wheeldown": WHEEL_ROWS}
    steps |= {"g": -LAST, "home": -LAST, "G": LAST, "end": LAST}
    return steps.get(key)


def _type(view: View, key: str) -> Asked:
    match key:
        case "enter":
            view.typing = False
        case "escape":
            view.typing, view.words = False, ""
        case "backspace":
            view.words = view.words[:-1]
        case "erase":
            view.words = ""
        case _ if len(key) == 1:
            view.words += key
        case _:
            return Asked.NOTHING
    view.offset, view.cursor = 0, None
    return Asked.REDRAW
