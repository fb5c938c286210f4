"""A booted systemd (tests/system/sdbox) with the host's network: what it ships can be received by the test."""

from __future__ import annotations

import subprocess
from pathlib import Path

from system import booted


class Box(booted.Box):
    """Boot with `start`, type with `sh`, end with `stop`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._env["SDBOX_NETWORK"] = "host"

    def sh(self, command: str, *, check: bool = True, stdin: bytes = b"", seconds: float = 60) -> str:
        """Run `command` with bash inside and return its stdout."""
        done = subprocess.run(
            self.inside(command), input=stdin, capture_output=True, timeout=seconds, check=False
        )
        if check and done.returncode:
            raise AssertionError(
                f"{command}\n{done.stdout.decode()}{done.stderr.decode()}rc={done.returncode}"
            )
        return done.stdout.decode(errors="replace")  # a screen that is read while it is drawn ends anywhere

    def inside(self, command: str) -> list[str]:
        """Return the argument list that runs `command` with bash inside."""
        return ["env", f"SDBOX={self.directory}", str(booted.SDBOX), "sh", "bash", "-c", command]


LEVELS = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


def journalled(box: Box, lines: list[bytes]) -> None:
    """Write `lines` into the box's journal as the service does, with identifier and priorities."""
    prefixed = []
    for line in lines:
        level = line.partition(b'"level":"')[2].partition(b'"')[0].decode()
        prefixed.append(b"<%d>%s\n" % (LEVELS[level], line) if level in LEVELS else line + b"\n")
    box.sh("cat > /run/queuetick-replay", stdin=b"".join(prefixed))
    unit = {"SyslogIdentifier": "queuetick", "LogRateLimitIntervalSec": "1s", "LogRateLimitBurst": "1000000"}
    properties = " ".join(f"-p {key}={value}" for key, value in unit.items())
    box.sh(
        f"systemd-run --quiet --wait --collect {properties} cat /run/queuetick-replay && journalctl --sync"
    )
