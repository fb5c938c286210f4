"""Boxes with queuetick in them: the wheels, the package, and the simulator as their Genesys Cloud."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .booted import SDBOX, TREE, Box, configure, pip_offline, start_simulator


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Boot nothing in `make test`: the system tests run when they are asked for by their marker."""
    if "system" in (config.getoption("markexpr") or ""):
        return
    for item in items:
        if item.get_closest_marker("system"):
            item.add_marker(pytest.mark.skip(reason="run by `make test-system`"))


def required(reason: str) -> None:
    """Skip with the reason, or fail where skipping would hide it (CI sets QUEUETICK_SYSTEM=required)."""
    if os.environ.get("QUEUETICK_SYSTEM") == "required":
        pytest.fail(f"system tests are required here, and cannot run: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def systemd() -> None:
    """What every test that boots needs. Where it cannot be had, the reason is printed with the test."""
    possible = subprocess.run([SDBOX, "possible"], capture_output=True, text=True, check=False)
    if possible.returncode:
        required(f"no systemd can be booted here: {possible.stdout.strip()}")


@pytest.fixture(scope="session")
def wheels(systemd: None) -> Path:
    """Everything `make install` needs from a package index, so that the box does without a network."""
    python = "/usr/bin/python3"
    version = subprocess.run([python, "--version"], capture_output=True, check=True).stdout
    locks = [TREE / "requirements" / name for name in ("run.txt", "run-tools.txt")]
    key = hashlib.sha256(b"".join([version, *(lock.read_bytes() for lock in locks)])).hexdigest()[:12]
    store = TREE / "build" / "system" / f"wheels-{key}"
    if not (store / "complete").exists():
        shutil.rmtree(store, ignore_errors=True)
        venv = store / "venv"
        subprocess.run([python, "-m", "venv", venv], check=True)
        pip = [venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
        for lock in locks:
            subprocess.run(
                [*pip, "download", "--no-deps", "--require-hashes", "-r", lock, "-d", store], check=True
            )
        subprocess.run([*pip, "wheel", "--wheel-dir", store, "hatchling>=1.27"], check=True)
        shutil.rmtree(venv)
        (store / "complete").touch()
    return store


@pytest.fixture(scope="session")
def wheel(wheels: Path) -> Path:
    """This tree as a wheel."""
    store = TREE / "build" / "system"
    env = {**os.environ, **pip_offline(wheels)}
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", store, TREE]
    subprocess.run(pip, env=env, check=True)
    return max(store.glob("queuetick-*.whl"), key=lambda path: path.stat().st_mtime)


@pytest.fixture(scope="session")
def debs() -> list[Path]:
    """Both packages, as `make deb` builds them, but for the half minute of compression: queuetick, queuetick-tools."""
    store = TREE / "build" / "system"
    env = {**os.environ, "DEB_COMPRESS": "none", "DEB_OUT": str(store)}
    command = ["make", "--silent", "deb"]
    built = subprocess.run(command, cwd=TREE, env=env, check=True, stdout=subprocess.PIPE, text=True)
    print(built.stdout)
    return [Path(line.split()[1]) for line in built.stdout.splitlines() if line.startswith("built ")]


@pytest.fixture(scope="session")
def deb(debs: list[Path]) -> Path:
    """The package of the daemon."""
    return debs[0]


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
    with ThreadPoolExecutor() as pool:
        list(pool.map(Box.stop, boxes))


@pytest.fixture
def boot_root(systemd: None) -> Iterator[Callable[[Path], Box]]:
    """Boot another root file system than this machine's own."""
    boxes: list[Box] = []

    def boot_one(root: Path) -> Box:
        box = Box(Path(f"/run/sdbox-{os.getpid()}-{root.name}"), lower=root)
        boxes.append(box)
        box.start(f"--bind-ro={TREE}:/srv/queuetick")
        return box

    yield boot_one
    for box in boxes:
        box.stop()


@pytest.fixture(scope="session")
def packaged(boot: Callable[[str], Box], debs: list[Path]) -> Box:
    """A box with both packages installed and a Genesys Cloud (the simulator) on 127.0.0.1:8080."""
    box = boot("service")
    box.run("dpkg", "--install", *(f"/srv/queuetick/{deb.relative_to(TREE)}" for deb in debs))
    box.simulator = start_simulator(box)
    return box


@pytest.fixture
def box(packaged: Box) -> Iterator[Box]:
    """queuetick configured against the simulator and not running; afterwards as if there had been no test."""
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
