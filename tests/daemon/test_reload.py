"""A reload prepares all that can fail before it changes anything, and one that hangs keeps no other from beginning."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest

from queuetick.clock import Clock
from queuetick.config import ConfigError
from queuetick.daemon import reload
from queuetick.daemon.app import App
from queuetick.events import Problem
from queuetick.lines import Emitter
from support.processes import until
from support.virtual import MemoryOutput, configuration

CONFIG = configuration(queues_ids=("00000000-0000-4000-8000-00000000000a",), poll_concurrency=1)


class Started:
    """An App that was announced, with its lines."""

    def __init__(self) -> None:
        self.output = MemoryOutput()
        stopping = threading.Event()
        self.app = App(
            CONFIG,
            Emitter(self.output, now=time.time),
            clock=Clock(wait=stopping.wait),
            environ={},
            serve_metrics=False,
            tick=lambda: None,
            overrun=lambda _: None,
        )
        self.app.announce()

    def count(self, event: str) -> int:
        return sum(event.encode() in line for line in self.output.lines)


@pytest.fixture
def started():
    made = Started()
    yield made
    made.app.close()


def changed(**sections):
    parts = {
        name: msgspec.structs.replace(getattr(CONFIG, name), **values) for name, values in sections.items()
    }
    return msgspec.structs.replace(CONFIG, **parts)


def test_a_reload_that_changes_no_connection_keeps_org_memory_and_discovery(started):
    runner = started.app.runner
    kept = runner.org, runner.memory, runner.discovery
    config = changed(poll={"interval": 30.0, "batch_size": 50}, output={"media": "none"})
    reload.swap(started.app, reload.prepare(started.app, config))
    assert (runner.org, runner.memory, runner.discovery) == kept
    assert (runner.interval, runner.config, started.app.config) == (30.0, config, config)
    assert started.count("config.reloaded") == 1


def test_another_connection_gets_another_org_and_the_same_memory_account_and_queues(started):
    runner = started.app.runner
    org, memory, account, queues = runner.org, runner.memory, runner.org.account, runner.queues
    runner.discovery.believed = True
    reload.swap(started.app, reload.prepare(started.app, changed(genesys={"timeout": 3.0})))
    assert runner.org is not org
    assert (runner.memory, runner.org.account, runner.queues) == (memory, account, queues)


def test_what_cannot_be_prepared_changes_nothing(started):
    runner = started.app.runner
    before = runner.org, runner.discovery, started.app.config, started.app.emitter.output
    config = changed(
        output={"path": "/nonexistent/lines"}, genesys={"timeout": 3.0}, poll={"requests_per_minute": 7}
    )
    with pytest.raises(ConfigError) as caught:
        reload.prepare(started.app, config)
    assert [problem.key for problem in caught.value.problems] == ["output.path"]
    assert (runner.org, runner.discovery, started.app.config, started.app.emitter.output) == before
    assert runner.requests_per_minute().allowed == 300


def test_a_reload_that_hangs_in_a_read_is_rejected_and_later_ones_are_in_force(started, monkeypatch):
    monkeypatch.setattr(reload, "READING_PATIENCE", 0.2)
    release, loads = threading.Event(), []

    def load():
        loads.append(None)
        if len(loads) == 1:
            release.wait(20)
        return changed(poll={"interval": 30.0 + len(loads)})

    states: list[str] = []
    reloader = reload.Reloader(
        started.app, load, began=lambda: states.append("RELOADING"), ended=lambda: states.append("READY")
    )
    reloader.ask()
    until(lambda: loads, 10)
    reloader.ask()  # comes while the first one hangs
    until(lambda: reloader.step() or started.count("config.reloaded") == 1, 10)
    assert started.count("config.rejected") == 1
    assert states == ["RELOADING", "READY"] * 2
    assert started.app.config.poll.interval == 32.0
    release.set()
    until(lambda: not any("queuetick-reload" in thread.name for thread in threading.enumerate()), 10)
    assert started.app.config.poll.interval == 32.0, "what was given up comes in force no more"


def test_reloads_that_hang_are_few(started, monkeypatch):
    monkeypatch.setattr(reload, "READING_PATIENCE", 0.0)
    release = threading.Event()

    def load():
        release.wait(20)
        raise ConfigError([Problem("x", "y", "z")])

    reloader = reload.Reloader(started.app, load, began=lambda: None, ended=lambda: None)
    for _ in range(12):
        reloader.ask()
        reloader.step()
    hanging = [thread for thread in threading.enumerate() if thread.name == "queuetick-reload"]
    release.set()
    assert len(hanging) <= reload.MOST_STUCK + 1
