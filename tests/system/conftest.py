"""A booted systemd (see sdbox) with queuetick installed the way an administrator installs it.

Nothing here touches the machine that runs the tests: the box is an overlay of it, and is gone when the tests end.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

TREE = Path(__file__).parents[2]
SDBOX = Path(__file__).with_name("sdbox")
CREDENTIALS = "/etc/queuetick/credentials"
DEADLINE = 20.0

T = TypeVar("T")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Boot nothing in `make test`: the system tests run when they are asked for by their marker."""
    if "system" in (config.getoption("markexpr") or ""):
        return
    for item in items:
        if item.get_closest_marker("system"):
            item.add_marker(pytest.mark.skip(reason="run by `make test-system`"))


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


def start_simulator(box: Box, queues: int = 12, port: int = 8080) -> None:
    """`queuetick simulate` as a unit of its own. Its credentials become the box's."""
    unit = "simulator" if port == 8080 else f"simulator-{port}"
    simulate = ("/opt/queuetick/bin/queuetick", "simulate", "--port", str(port), "--queues", str(queues), "--seed", "7")
    box.run("systemd-run", "--quiet", f"--unit={unit}", *simulate)
    line = wait_for(
        "the simulator's first line",
        lambda: box.out("journalctl", "--no-pager", "-o", "cat", f"_SYSTEMD_UNIT={unit}.service"),
    )
    box.simulator = json.loads(line.splitlines()[0])


def configure(box: Box, config: str = CONFIG, org: str | None = None) -> None:
    """What operations.md asks of an administrator: one file of configuration, two of credentials."""
    box.write(f"/etc/queuetick/{org or 'config'}.toml", config)
    directory = f"{CREDENTIALS}/{org}" if org else CREDENTIALS
    box.write(f"{directory}/genesys_client_id", box.simulator["client_id"] + "\n", "600")
    box.write(f"{directory}/genesys_client_secret", box.simulator["client_secret"] + "\n", "600")


class Box:
    """One booted systemd. Commands run in it as root; what they print comes back."""

    def __init__(self, directory: Path) -> None:
        self._env = {**os.environ, "SDBOX": str(directory)}
        self.directory = directory
        self.simulator: dict[str, Any] = {}

    def start(self, *options: str) -> None:
        subprocess.run([SDBOX, "start", *options], env=self._env, check=True, timeout=60)

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
            assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

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

    def cursor(self) -> str:
        """The place in the journal from which a test reads."""
        self.run("logger", "-t", "cursor", "here")
        self.run("journalctl", "--sync")
        last = self.out("journalctl", "-n", "1", "-o", "json", "--no-pager")
        return str(json.loads(last)["__CURSOR"])

    def journal(self, cursor: str, *match: str) -> list[dict[str, Any]]:
        """Journal entries after the cursor, as journald stores them."""
        self.run("journalctl", "--sync")
        text = self.out("journalctl", "--no-pager", "--all", "-o", "json", "--after-cursor", cursor, *match)
        return [json.loads(line) for line in text.splitlines()]

    def events(self, cursor: str, name: str | None = None, unit: str = "queuetick.service") -> list[dict[str, Any]]:
        """The lines that the daemon wrote to the journal after the cursor, whole or not at all."""
        lines = []
        for entry in self.journal(cursor, f"_SYSTEMD_UNIT={unit}"):
            if entry["MESSAGE"].startswith("{"):
                lines.append(json.loads(entry["MESSAGE"]))
        return [line for line in lines if name in (None, line["event"])]

    def wait_event(self, cursor: str, name: str, unit: str = "queuetick.service") -> dict[str, Any]:
        return wait_for(f"{name} of {unit}", lambda: self.events(cursor, name, unit))[0]


def required(reason: str) -> None:
    """Skip with the reason, or fail where skipping would hide it (CI sets QUEUETICK_SYSTEM=required)."""
    if os.environ.get("QUEUETICK_SYSTEM") == "required":
        pytest.fail(f"system tests are required here, and cannot run: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def systemd() -> None:
    """Everything that boots needs this: the reason why it cannot is printed with each test that did not run."""
    possible = subprocess.run([SDBOX, "possible"], capture_output=True, text=True, check=False)
    if possible.returncode:
        required(f"no systemd can be booted here: {possible.stdout.strip()}")


@pytest.fixture(scope="session")
def wheels(systemd: None) -> Path:
    """Everything `make install` needs from a package index, so that the box does without a network."""
    python = "/usr/bin/python3"
    version = subprocess.run([python, "--version"], capture_output=True, check=True).stdout
    key = hashlib.sha256(version + (TREE / "pyproject.toml").read_bytes()).hexdigest()[:12]
    store = TREE / "build" / "system" / f"wheels-{key}"
    if not (store / "complete").exists():
        shutil.rmtree(store, ignore_errors=True)
        venv = store / "venv"
        subprocess.run([python, "-m", "venv", venv], check=True)
        pip = [venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
        subprocess.run([*pip, "--wheel-dir", store, f"{TREE}[all]", "hatchling>=1.27"], check=True)
        shutil.rmtree(venv)
        for ours in store.glob("queuetick-*.whl"):
            ours.unlink()
        (store / "complete").touch()
    return store


def pip_offline(store: Path | str) -> dict[str, str]:
    """Variables that make pip use the wheels and nothing else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(store), "PIP_CONFIG_FILE": "/dev/null"}


@pytest.fixture(scope="session")
def deb(wheels: Path) -> Path:
    """The package, as `make deb` builds it."""
    env = {**os.environ, **pip_offline(wheels)}
    built = subprocess.run(["make", "-s", "deb"], cwd=TREE, env=env, check=True, capture_output=True, text=True)
    print(built.stdout)
    return TREE / built.stdout.split()[1]


@pytest.fixture(scope="session")
def boot(systemd: None) -> Iterator[Callable[[str], Box]]:
    """Boot boxes on demand. Whatever the tests do, none is up when they end."""
    boxes: list[Box] = []

    def boot_box(name: str) -> Box:
        box = Box(Path(f"/run/sdbox-{os.getpid()}-{name}"))
        boxes.append(box)
        box.start(f"--bind-ro={TREE}:/srv/queuetick")
        return box

    yield boot_box
    for box in boxes:
        box.stop()


@pytest.fixture(scope="session")
def packaged(boot: Callable[[str], Box], deb: Path) -> Box:
    """A box with the package installed and a Genesys Cloud (the simulator) on 127.0.0.1:8080."""
    box = boot("service")
    box.run("dpkg", "--install", f"/srv/queuetick/{deb.relative_to(TREE)}")
    start_simulator(box)
    return box


@pytest.fixture
def box(packaged: Box) -> Iterator[Box]:
    """queuetick configured against the simulator, and not running; afterwards as if the test had never been."""
    configure(packaged)
    yield packaged
    packaged.sh(
        """
        systemctl stop queuetick.service 'queuetick@*.service'
        rm -rf /etc/systemd/system/queuetick*.d /run/systemd/system/queuetick*.d /etc/queuetick/*.toml \
            /etc/queuetick/credentials/* /var/log/queuetick* /var/log/private/queuetick*
        systemctl daemon-reload
        systemctl reset-failed
        """
    )
