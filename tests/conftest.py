"""What every test may use: a simulator on a real socket, and a way to run the commands as a user does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from queuetick.simulator import Simulator
from support.processes import QUEUETICK, clean_environment
from support.simulators import access_to, busy

# How long an example takes says nothing about the claim: the first one of a fresh clone builds Hypothesis's own tables,
# and CI, `make test COVERAGE=yes` and `make mutation` share their processors.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")

os.umask(0o022)  # config.toml and .env are refused where their group can write them, as umask 002 lets it

# nohup, and a shell's job in the background, have these ignored, and so would every command that a test starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["support.servers"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts processes, for `make test-fast`: by the fixture that does, or by the module that can."""
    for item in items:
        module = vars(getattr(item, "module", None) or object)
        if {"queuetick", "on_a_terminal"} & set(getattr(item, "fixturenames", ())) or {
            "subprocess",
            "DaemonProcess",
            "pty",
        } & module.keys():
            item.add_marker("process")


def pytest_runtest_teardown() -> None:
    if virtual := sys.modules.get("support.virtual"):
        for world in [*virtual.World.open]:
            world.close()


@dataclass
class Result:
    """What a command did."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A contact centre of 45 queues: three batches of the default size."""
    with busy(45, seed=7) as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A clean environment: no credentials, no proxies, a home of its own."""
    return {**clean_environment(tmp_path), "PYTHONWARNINGS": "error::ResourceWarning"}


@pytest.fixture
def credentials(simulator: Simulator, environment: dict[str, str]) -> dict[str, str]:
    """The environment with what the simulator accepts."""
    return {**environment, **access_to(simulator)}


@pytest.fixture
def queuetick(tmp_path: Path) -> Callable[..., Result]:
    """Run a command to its end, in an empty directory, with `config` as its config.toml."""

    def run(
        *arguments: str, env: Mapping[str, str], config: str | bytes | None = None, timeout: float = 30
    ) -> Result:
        command: Sequence[str] = [*QUEUETICK, *arguments]
        if config is not None:
            text = config.encode() if isinstance(config, str) else config
            (tmp_path / "config.toml").write_bytes(text)
        done = subprocess.run(
            command, env=dict(env), cwd=tmp_path, capture_output=True, timeout=timeout, check=False
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
