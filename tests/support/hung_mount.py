"""A file system that does not answer, as NFS without its server: FUSE whose server reads no request. Needs root."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOSUID_NODEV = 6
_FORCE_DETACH = 3


@contextmanager
def hung_mount(path: Path) -> Iterator[Path]:
    """Mount it at the directory `path`; who waits for it at the end gets an error. Raises OSError where that fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    server = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
        if libc.mount(b"hung", os.fsencode(path), b"fuse", _NOSUID_NODEV, options):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        yield path
    finally:
        os.close(server)
        libc.umount2(os.fsencode(path), _FORCE_DETACH)


def waits_in_the_kernel(pid: int) -> bool:
    """Whether a thread of the process is in a wait that only its end ends."""
    return any(
        stat.read_text().rpartition(")")[2].split()[0] == "D"
        for stat in Path(f"/proc/{pid}").glob("task/*/stat")
    )
