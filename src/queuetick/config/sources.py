"""Files of the configuration: read whole, without blocking, and only where nobody else can have written them."""

from __future__ import annotations

import io
import os
import pwd
import stat
from pathlib import Path

from dotenv.parser import parse_stream

MOST = 16 * 1024 * 1024
"""Bytes of the largest file that is read; a bundle of all public CAs takes less than one MiB."""

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Unreadable(Exception):
    """A file that exists and cannot be used: `problem` says why, `fix` what to do."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix


def read_bytes(path: Path, *, owned: bool = False) -> bytes:
    """The content of a regular file. `owned` refuses one that somebody else owns or can write.

    Does not block on a FIFO or a device. Raises FileNotFoundError or NotADirectoryError where there is none, Unreadable
    where it cannot be used.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            problem = f"cannot be read: it is a link to {path.readlink()}, which does not exist"
            raise Unreadable(problem, "remove the link, or make its file") from None
        raise
    except OSError as error:
        raise Unreadable(
            f"cannot be read: {error.strerror}", "make it readable, or name another file"
        ) from None
    except ValueError:
        problem = "cannot be read: its name has a NUL character"
        raise Unreadable(problem, "name another file") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
            raise Unreadable(f"cannot be read: it is {kind}, not a regular file", "name a regular file")
        if owned:
            _refuse_strangers(path, status)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MOST + 1) or b""  # None where a file of the kernel has nothing yet
    except OSError as error:
        raise Unreadable(
            f"cannot be read: {error.strerror}", "make it readable, or name another file"
        ) from None
    finally:
        os.close(descriptor)
    if len(content) > MOST:
        raise Unreadable(f"cannot be read: it is larger than {MOST >> 20} MiB", "name another file")
    return content


def read_text(path: Path, *, owned: bool = False) -> str:
    """As `read_bytes`, decoded from UTF-8 without its byte order mark."""
    content = read_bytes(path, owned=owned)
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        wide = content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content
        kind = "it is UTF-16, not UTF-8 text" if wide else "it is not UTF-8 text"
        raise Unreadable(f"cannot be read: {kind}", "save it as UTF-8") from None
    if "\0" in text:
        raise Unreadable("cannot be read: it has NUL bytes, as UTF-16 text does", "save it as UTF-8")
    return text


def _refuse_strangers(path: Path, status: os.stat_result) -> None:
    """Raise Unreadable where somebody else than root and the effective user decides what is in the file."""
    me = os.geteuid()
    for owner in (status.st_uid, os.lstat(path).st_uid):  # the second differs where it is a link
        if owner not in (0, me):
            fix = f"chown {_user(0)} {path}" if me == 0 else f"chown {_user(me)} {path}, or chown root {path}"
            whom = "root" if me == 0 else f"root nor {_user(me)}"
            neither = "not to root" if me == 0 else f"neither to {whom}"
            raise Unreadable(f"belongs to {_user(owner)}, {neither}", fix)
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        who = "anybody" if status.st_mode & stat.S_IWOTH else "its group"
        raise Unreadable(f"can be written by {who}", f"chmod go-w {path}")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def parse_dotenv(text: str) -> tuple[dict[str, str], list[int]]:
    """The variables of a `.env`, without interpolation, and the numbers of the lines that cannot be read."""
    values: dict[str, str] = {}
    bad: list[int] = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            bad.append(binding.original.line)
        elif binding.key and binding.value is not None:
            values[binding.key] = binding.value
    return values, bad
