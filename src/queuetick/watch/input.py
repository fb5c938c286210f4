"""Bytes from the terminal to keys, and keys to changes of the view. Pure."""

from __future__ import annotations

import codecs
import enum

from queuetick.watch.view import Sort, View

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
_SORTS = {"w": Sort.WAITING, "l": Sort.LONGEST, "a": Sort.AVAILABLE, "n": Sort.NAME}


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
            keys.append(_SEQUENCES.get(sequence[:length], "unknown") if length else "escape")
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


class Asked(enum.Enum):
    """What a key wants that the view cannot do by itself."""

    NOTHING = enum.auto()
    REDRAW = enum.auto()
    PAUSE = enum.auto()
    QUIT = enum.auto()


def press(view: View, key: str, page: int) -> Asked:
    """Change the view as the key says. `page`: rows that a page key scrolls."""
    if key == "quit":
        return Asked.QUIT
    if view.typing:
        return _type(view, key)
    if view.help:
        view.help = False
        return Asked.QUIT if key == "q" else Asked.REDRAW
    if _reorder(view, key):
        view.offset = 0
        return Asked.REDRAW
    if (offset := _scroll(view.offset, key, page)) is not None:
        view.offset = offset
        return Asked.REDRAW
    match key:
        case "q":
            return Asked.QUIT
        case " ":
            return Asked.PAUSE
        case "/":
            view.typing = True
        case "?" | "h":
            view.help = True
        case _:
            return Asked.NOTHING
    return Asked.REDRAW


def _reorder(view: View, key: str) -> bool:
    """Change which rows come, or in which order; False if the key does not."""
    if key in _SORTS:
        view.sort = _SORTS[key]
    elif key == "r":
        view.reverse = not view.reverse
    elif key == "p":
        view.problems = not view.problems
    elif key == "escape":
        view.words = ""
    else:
        return False
    return True


def _scroll(offset: int, key: str, page: int) -> int | None:
    """The new first row; None if the key does not scroll. The screen brings it back to the last page."""
    steps = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -page, "pagedown": page}
    if key in steps:
        return max(0, offset + steps[key])
    return {"g": 0, "home": 0, "G": LAST, "end": LAST}.get(key)


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
    view.offset = 0
    return Asked.REDRAW
