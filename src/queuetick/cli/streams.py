"""stdout and stderr of a command: which characters they take, and what happens where they cannot be written."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TextIO

from queuetick.exit_codes import ExitCode
from queuetick.foreign_text import is_visible

if TYPE_CHECKING:
    from queuetick.lines import Redaction

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)

LONGEST_MESSAGE = 2000
"""Characters of a line on stderr; the rest of an error message is cut, after it was masked."""


def prepare() -> None:
    """Let both streams take every character: one that their encoding lacks is written as an escape.

    A stream that the parent process closed fails on the first write. Its descriptor is taken, so that
    no socket gets that number and with it the lines.
    """
    redaction.cache_clear()  # main may be called again, in another environment
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= 2:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - a descriptor
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@cache
def redaction() -> Redaction:
    """The mask of this process. It knows the secrets of the environment; a command adds those that it reads."""
    from queuetick.lines.redaction import Redaction, environment_secrets

    return Redaction(environment_secrets(os.environ))


def mask(name: Literal["stdout", "stderr"]) -> None:
    """Let everything that is written to the stream from now on pass `redaction()`, tracebacks included."""
    if not isinstance(stream := getattr(sys, name), MaskedStream):
        setattr(sys, name, MaskedStream(stream, longest=LONGEST_MESSAGE if name == "stderr" else None))


class MaskedStream:
    """A text stream that masks what is written to it; of a line longer than `longest` characters it keeps the start.

    Everything else is the stream's own.
    """

    def __init__(self, stream: TextIO, *, longest: int | None) -> None:
        self.stream = stream
        self._longest = longest

    def write(self, text: str) -> int:
        from queuetick.lines.redaction import shorten

        shown = redaction().mask(text)
        if self._longest is not None and len(shown) > self._longest:
            shown = "\n".join(shorten(line, self._longest) for line in shown.split("\n"))
        self.stream.write(shown)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def say(text: str) -> None:
    """Write `text` to stderr. Where stderr cannot be written, only the text is lost."""
    with suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def fail(error: OSError) -> ExitCode:
    """The exit code after a write to stdout failed, with the reason on stderr; raises `error` if it is another one."""
    if error.filename is not None or error.errno not in _UNWRITABLE:
        raise error
    abandon()
    say(f"queuetick: stdout cannot be written: {error.strerror}\n")
    return ExitCode.FAILURE


def abandon() -> None:
    """Drop what waits to be written to stdout, and all that follows."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def is_utf8(stream: TextIO) -> bool:
    """Whether the stream takes UTF-8, which JSON and TOML are."""
    return stream.encoding.lower().replace("-", "") == "utf8"


def json_document(document: Any) -> str:
    """`document` as indented JSON that any terminal can show.

    What must not reach a terminal is escaped, and everything beyond ASCII where stdout is not UTF-8.
    """
    text = json.dumps(document, ensure_ascii=not is_utf8(sys.stdout), indent=2)
    return "".join(c if c == "\n" or is_visible(c) else json.dumps(c)[1:-1] for c in text) + "\n"
