"""A real systemd with a real journal, booted in under a second from an overlay of this machine's own /.

What happens in the box stays in its tmpfs: packages of the host are there, its files are not touched.
The network is the host's, so that what the box ships can be received by the test.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

BOOT = r"""
set -eu
box=$1 name=$2; shift 2
mkdir -p "$box/ov"
mount -t tmpfs -o size=1g,mode=755 pipelines "$box/ov"
mkdir "$box/ov/up" "$box/ov/work" "$box/ov/root"
root=$box/ov/root
mount -t overlay -o "lowerdir=/,upperdir=$box/ov/up,workdir=$box/ov/work" pipelines "$root"

# No foreign service and no foreign journal; /var/log and the spools begin empty.
rm -rf "$root"/etc/systemd/system/*.wants "$root"/var/log/* "$root"/var/spool/rsyslog/*
mkdir -p "$root/var/log/journal"
tr -d - < /proc/sys/kernel/random/uuid > "$root/etc/machine-id"
echo "$name" > "$root/etc/hostname"
cat > "$root/etc/systemd/system/pipelines.target" <<UNIT
[Unit]
Requires=basic.target systemd-journald.service dbus.service
After=basic.target dbus.service
AllowIsolate=yes
UNIT
tar -C "$box/files" -c . | tar -C "$root" -x --no-overwrite-dir --no-same-owner

for group in $(cat "$box/cgroups"); do echo $$ > "$group/cgroup.procs"; done
exec systemd-nspawn --quiet -D "$root" --boot --register=no --keep-unit --machine="$name" \
  --console=pipe "$@" systemd.unit=pipelines.target
"""

NUMBERS = itertools.count(1)

OWN_MOUNTS = ["unshare", "--mount", "--propagation", "private"]

REQUIRED = {"systemd-nspawn": "systemd-container", "nsenter": "util-linux", "dbus-daemon": "dbus"}


class BoxError(Exception):
    """The box did not boot; the message is what nspawn said."""


class Box:
    """Boot with `start`, type with `sh`, end with `stop`. `files` is copied onto the box's / at the start."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files = directory / "files"
        self.files.mkdir(parents=True)
        self.name = f"pipelines{os.getpid()}n{next(NUMBERS)}"
        self.process: subprocess.Popen[bytes] | None = None
        self.leader = 0

    def start(self, *options: str, seconds: float = 60) -> None:
        """Boot, and come back when systemd says that it is up."""
        groups = [group for group in self._cgroups() if group.mkdir() or True]
        (self.directory / "cgroups").write_text(" ".join(map(str, groups)))
        log = self.directory / "nspawn.log"
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                [*OWN_MOUNTS, "bash", "-c", BOOT, "box", str(self.directory), self.name, *options],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            self.leader = self.leader or self._leader()
            if self.leader and self.sh("systemctl is-system-running", check=False).strip() in {
                "running",
                "degraded",
            }:
                return
            time.sleep(0.05)
        raise BoxError(log.read_text(errors="replace") or "no word from systemd-nspawn")

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
        enter = ["nsenter", "-t", str(self.leader), *("-m", "-u", "-i", "-p", "-C", "-r", "-w")]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        clean = ["env", "-i", path, "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", "SYSTEMD_PAGER=cat"]
        return [*enter, *clean, "bash", "-c", command]

    def stop(self) -> None:
        """End the box at once: nothing in it is worth a graceful end."""
        if self.process is not None:
            if self.leader:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.leader, signal.SIGKILL)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for group in self._cgroups():
            for child in sorted(group.rglob("*"), reverse=True):
                if child.is_dir():
                    _rmdir_when_empty(child)
            if group.exists():
                _rmdir_when_empty(group)
        shutil.rmtree(Path("/run/systemd/nspawn/propagate") / self.name, ignore_errors=True)

    def _cgroups(self) -> list[Path]:
        """Return a cgroup of the box's own in each hierarchy that systemd uses (when hybrid, two)."""
        top = Path("/sys/fs/cgroup")
        if (top / "cgroup.controllers").exists():
            return [top / self.name]
        return [top / each / self.name for each in ("systemd", "unified") if (top / each).is_dir()]

    def _leader(self) -> int:
        """Return the pid of the box's systemd as the host sees it, 0 while there is none."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(OSError):
            for pid in children.read_text().split():
                if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                    return int(pid)
        return 0


def _rmdir_when_empty(group: Path, seconds: float = 10) -> None:
    """Remove a cgroup; the kernel refuses while its last process is still dying."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            group.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


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
