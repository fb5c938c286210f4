"""A booted systemd (see sdbox) to install queuetick in, and what an administrator does there.

Nothing here touches the machine that runs the tests: the box is an overlay of it, gone when the tests end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

TREE = Path(__file__).parents[2]
SDBOX = Path(__file__).with_name("sdbox")
UNIT = "queuetick.service"
CREDENTIALS = "/etc/queuetick/credentials"
DEADLINE = 20.0

T = TypeVar("T")


def pip_offline(store: Path | str) -> dict[str, str]:
    """Variables that make pip use the wheels and nothing else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(store), "PIP_CONFIG_FILE": "/dev/null"}


def wait_for(what: str, probe: Callable[[], T], deadline: float = DEADLINE) -> T:
    """Probe until it answers something true; fail with the last answer at the deadline."""
    end = time.monotonic() + deadline
    while not (answer := probe()):
        assert time.monotonic() < end, f"{what}: not within {deadline:g} s, last answer: {answer!r}"
        time.sleep(0.05)
    return answer


CONFIG = """
[genesys]
api_url = "http://127.0.0.1:8080"
login_url = "http://127.0.0.1:8080"
[poll]
interval = 1
"""


ONESHOT = "[Service]\nType=oneshot\nWatchdogSec=0\nRestart=no\nExecStartPre=\nExecStart=\n"
"""Head of a drop-in that runs another program in the service's place, under all its limits."""


def start_simulator(
    box: Box, unit: str = "simulator", port: int = 8080, options: str = "--queues 12"
) -> dict[str, str]:
    """`queuetick simulate` as a unit of its own; its first line holds the credentials it wants."""
    simulate = f"queuetick simulate --at 10:30 --port {port} --seed 7 {options}"
    as_unit = ["--quiet", "--collect", f"--unit={unit}", f"--property=SyslogIdentifier={unit}"]
    box.run("systemd-run", *as_unit, "/usr/bin/env", "PATH=/usr/local/bin:/usr/bin", *simulate.split())
    line = wait_for(
        "the simulator's first line",
        lambda: box.out("journalctl", "--no-pager", "-o", "cat", f"_SYSTEMD_UNIT={unit}.service"),
    )
    started: dict[str, str] = json.loads(line.splitlines()[0])
    return started


def configure(
    box: Box, config: str = CONFIG, org: str | None = None, simulator: dict[str, str] | None = None
) -> None:
    """What operations.md asks of an administrator: one file of configuration, two of credentials."""
    box.write(f"/etc/queuetick/{org or 'config'}.toml", config)
    directory = f"{CREDENTIALS}/{org}" if org else CREDENTIALS
    for name in ("client_id", "client_secret"):
        box.write(f"{directory}/genesys_{name}", (simulator or box.simulator)[name] + "\n", "600")


class Box:
    """One booted systemd. Commands run in it as root; what they print comes back."""

    def __init__(self, directory: Path, network: str | None = None, lower: Path = Path("/")) -> None:
        """`network`: path of the network namespace that its cables end in; `lower`: the root that it boots."""
        self._env = {**os.environ, "SDBOX": str(directory), "SDBOX_LOWER": str(lower)}
        self._within = ["nsenter", f"--net={network}"] if network else []
        self.directory = directory
        self.simulator: dict[str, str] = {}

    def start(self, *options: str) -> None:
        subprocess.run([*self._within, SDBOX, "start", *options], env=self._env, check=True, timeout=60)

    def power_off(self) -> None:
        """Switch it off at the plug: no service is told."""
        os.kill(int((self.directory / "leader").read_text()), signal.SIGKILL)

    def stop(self) -> None:
        subprocess.run([SDBOX, "stop"], env=self._env, check=True, timeout=60)

    def run(
        self, *command: str, check: bool = True, stdin: str | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [SDBOX, "sh", *command],
            env=self._env,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check:
            assert done.returncode == 0, "\n".join(
                [f"{command} gave {done.returncode}:", done.stdout, done.stderr, self.last_words()]
            )
        return done

    def last_words(self) -> str:
        """The end of the journal, for a test that failed."""
        command = ["journalctl", "--no-pager", "--lines=15", "--output=cat"]
        return subprocess.run(
            [SDBOX, "sh", *command], env=self._env, stdout=subprocess.PIPE, text=True, check=False
        ).stdout

    def out(self, *command: str) -> str:
        return self.run(*command).stdout.strip()

    def sh(self, script: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("sh", "-euc", script, check=check)

    def write(self, path: str, text: str, mode: str = "644") -> None:
        self.run("install", "-D", "-m", mode, "/dev/stdin", path, stdin=text)

    def read(self, path: str) -> str:
        return self.run("cat", path).stdout

    def exists(self, path: str) -> bool:
        return self.run("test", "-e", path, check=False).returncode == 0

    def show(self, unit: str, name: str) -> str:
        return self.out("systemctl", "show", "--value", "-p", name, unit)

    def wait_state(self, unit: str, state: str, deadline: float = DEADLINE) -> None:
        wait_for(f"{unit} {state}", lambda: self.show(unit, "ActiveState") == state, deadline)

    def now(self) -> str:
        """The moment from which a test reads the journal.

        Not a cursor: `journalctl --after-cursor` with a match swallows the first line that matches.
        """
        return f"@{time.time():.6f}"

    def journal(self, since: str, *match: str) -> list[dict[str, Any]]:
        """Journal entries since then, as journald stores them."""
        self.run("journalctl", "--sync")
        text = self.out("journalctl", "--quiet", "--all", "--output=json", f"--since={since}", *match)
        return [json.loads(line) for line in text.splitlines()]

    def events(self, since: str, name: str | None = None, unit: str = UNIT) -> list[dict[str, Any]]:
        """The lines that the daemon wrote to the journal since then, all or those of one event."""
        messages = [entry["MESSAGE"] for entry in self.journal(since, f"_SYSTEMD_UNIT={unit}")]
        lines = [json.loads(message) for message in messages if message.startswith("{")]
        return [line for line in lines if name in (None, line["event"])]

    def wait_event(self, since: str, name: str, unit: str = UNIT) -> dict[str, Any]:
        return wait_for(f"{name} of {unit}", lambda: self.events(since, name, unit))[0]
