"""Real shippers on the daemon's real output: `make test-pipelines`. Plain `make test` leaves them out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from system.booted import SDBOX

from .box import Box
from .real import QUEUETICK, record
from .tools import REPOSITORY, Sink, SyslogNg, Table, machine, missing, parse, unpacked_syslog_ng

HERE = Path(__file__).parent
TABLE = pytest.StashKey[Table]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = Table()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, before `-m` chooses."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.pipelines)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[TABLE].rows:
        terminalreporter.section(f"pipelines on {machine()}")
        terminalreporter.write_line(str(config.stash[TABLE]))


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    """Where each chain enters what came of it."""
    return pytestconfig.stash[TABLE]


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Every line of one run of the daemon, made once."""
    lines = record(tmp_path_factory.mktemp("output"))
    assert_bad_enough(lines)
    return lines


def assert_bad_enough(lines: list[bytes]) -> None:
    """Make sure that the chains are shown errors, nulls, floats and names beyond ASCII."""
    events = {parse(line)["event"] for line in lines}
    needed = {"batch.failed", "api.lost", "api.recovered", "queue.missing", "queue.recovered"}
    needed |= {"rate_limit.paused", "rate_limit.resumed", "cycle.skipped", "daemon.started", "daemon.stopped"}
    assert needed <= events
    assert any(b":null" in line for line in lines)
    assert any(not line.isascii() for line in lines)


@pytest.fixture
def chain(request: pytest.FixtureRequest) -> str:
    """What is added to a chain's name in the table."""
    return ", hostile names" if "hostile names" in request.node.name else ""


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A TCP aggregator."""
    with Sink() as aggregator:
        yield aggregator


@pytest.fixture(scope="session")
def syslog_ng(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> SyslogNg:
    """Debian's syslog-ng, unpacked and not installed: it and rsyslog exclude each other."""
    cache = getattr(pytestconfig, "cache", None)
    return unpacked_syslog_ng(cache.mkdir("syslog-ng") if cache else tmp_path_factory.mktemp("syslog-ng"))


@contextmanager
def booted(directory: Path) -> Iterator[Box]:
    """Boot a systemd with an empty journal; `queuetick` is on its PATH."""
    possible = subprocess.run([SDBOX, "possible"], capture_output=True, text=True, check=False)
    if possible.returncode:
        missing(f"no systemd can be booted: {possible.stdout.strip()}")
    box = Box(directory)
    root = Path("/").stat().st_dev
    # What the box does not have from below: other file systems, and /tmp, which is its own there.
    elsewhere = {
        path
        for path in (REPOSITORY, Path(sys.base_prefix))
        if path.stat().st_dev != root or path.is_relative_to("/tmp")  # noqa: S108
    }
    try:
        box.start(*(f"--bind-ro={path}" for path in elsewhere))
        box.run("ln", "-s", str(QUEUETICK), "/usr/local/bin/queuetick")
        yield box
    finally:
        box.stop()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A systemd of the test's own."""
    with booted(tmp_path / "box") as own:
        yield own


@pytest.fixture(scope="module")
def shared_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A systemd for the tests of a module that only read."""
    with booted(tmp_path_factory.mktemp("box") / "box") as shared:
        yield shared
