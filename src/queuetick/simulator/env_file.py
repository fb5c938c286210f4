"""The `.env` that `queuetick simulate --env` writes: address and credentials of a running simulator."""

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

_MARK = "# written by queuetick simulate"


def check_env_file(path: Path) -> str | None:
    """Why the file must not be written; None if it may.

    Only a file that a simulator wrote is replaced, so that real credentials are never lost.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None if path.parent.is_dir() else f"--env: {path.parent} is not a directory"
    except OSError as error:
        return f"--env: {error}"
    if not stat.S_ISREG(status.st_mode):
        return f"--env: {path} is not a regular file"
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            first = file.readline()
    except OSError as error:
        return f"--env: {error}"
    if not first.startswith(_MARK):
        return f"--env: {path} exists and was not written by queuetick simulate"
    return None


def write_env_file(path: Path, settings: Mapping[str, str]) -> None:
    """Write the settings, readable by the owner only; an older file is replaced at once. Raises OSError."""
    lines = [f"{_MARK}; of use only while that simulator runs"]
    lines += [f"{name}={value}" for name, value in settings.items()]
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
