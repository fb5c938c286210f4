"""A reload prepares all that can fail before it changes anything; one that is rejected keeps no other from its turn."""

from __future__ import annotations

import json
import threading
import time

import msgspec
import pytest

from queuetick.clock import Clock
from queuetick.config import ConfigError, Credentials
from queuetick.daemon import reload
from queuetick.daemon.app import App
from queuetick.events import ConfigReloaded, Problem, QueuesRefreshed
from queuetick.lines import Emitter
from support.processes import until
from support.virtual import MemoryOutput, configuration

CONFIG = configuration(queues_ids=("00000000-0000-4000-8000-00000000000a",), poll_concurrency=1)


class Started:
    """An App that was announced, with its lines."""

    def __init__(self, *, announce: bool = True) -> None:
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
        if announce:
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


@pytest.mark.parametrize(("client", "resumed"), [("another-client", 1), ("id-of-client", 0)])
def test_a_pause_ends_with_the_client_that_it_holds_for(started, client, resumed):
    started.app.runner.org.limits.pause("observations", 3600.0, "retry-after")
    config = msgspec.structs.replace(CONFIG, credentials=Credentials(client, "secret-of-client"))
    reload.swap(started.app, reload.prepare(started.app, config))
    assert started.count("rate_limit.resumed") == resumed
    assert (started.app.runner.org.limits.paused_for() > 0) == (not resumed)


def test_what_a_cycle_lists_while_the_reload_is_written_is_a_line(started):
    app = started.app
    prepared = reload.prepare(app, changed(queues={"names": ("*",)}))
    write = app.emit

    def emit(*facts, **options):
        write(*facts, **options)
        if isinstance(facts[0], ConfigReloaded):  # a cycle has begun, and its discovery ends now
            prepared.discovery.emit(
                QueuesRefreshed(total=7, added=7, removed=0, renamed=0, added_ids=[], removed_ids=[])
            )

    app.emit = emit
    reload.swap(app, prepared)
    assert started.count('"total":7') == 1


def test_what_a_reload_says_while_the_start_announces_itself_is_not_lost():
    made = Started(announce=False)
    start = threading.Thread(target=made.app.announce)

    class Held(list):
        def extend(self, facts) -> None:
            start.start()
            start.join(0.1)  # ends at once where nothing holds it
            super().extend(facts)

    made.app._held = Held()
    made.app.emit(ConfigReloaded(changed=[]))
    start.join(10)
    made.app.close()
    events = [json.loads(line)["event"] for line in made.output.lines]
    assert ["daemon.started", "config.reloaded"] == events[:2]


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


def test_a_reload_asked_for_while_another_runs_follows_it_also_where_that_one_was_rejected(started):
    release, loads = threading.Event(), []

    def load():
        loads.append(None)
        if len(loads) == 1:
            release.wait(20)
            raise ConfigError([Problem("config.toml", "was not read within 10 s", "check its file system")])
        return changed(poll={"interval": 30.0 + len(loads)})

    states: list[str] = []
    reloader = reload.Reloader(
        started.app, load, began=lambda: states.append("RELOADING"), ended=lambda: states.append("READY")
    )
    reloader.ask()
    until(lambda: loads, 10)
    reloader.ask()  # comes while the first one reads
    release.set()
    until(lambda: reloader.step() or started.count("config.reloaded") == 1, 10)
    until(lambda: states == ["RELOADING", "READY"] * 2, 10)
    assert started.count("config.rejected") == 1
    assert started.app.config.poll.interval == 32.0


def begun(app, load):
    reloader = reload.Reloader(app, load, began=lambda: None, ended=lambda: None)
    reloader.ask()
    return reloader


def test_the_end_waits_for_what_is_being_put_in_force(started):
    with started.app.runner._running:  # a cycle that runs, which the reload waits for
        reloader = begun(started.app, lambda: changed(poll={"interval": 30.0}))
        until(reloader._swapping.locked, 10)
        end = threading.Thread(target=reloader.end, args=(20.0,))
        end.start()
        end.join(0.1)
        assert end.is_alive()
    end.join(20)
    assert started.count("config.reloaded") == 1


def test_nothing_is_put_in_force_after_the_end(started):
    ended = threading.Event()

    def load():
        ended.wait(20)
        return changed(output={"path": "/dev/null"})

    reloader = begun(started.app, load)
    reloader.end(20.0)
    ended.set()
    reloader._thread.join(20)
    assert started.app.config is CONFIG and started.count("config.reloaded") == 0
