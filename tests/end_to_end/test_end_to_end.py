"""The daemon as its users run it, on the simulator's real socket."""

from __future__ import annotations

import contextlib
import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest

from queuetick.events.schema import json_schema
from queuetick.simulator import Simulator
from support.processes import DaemonProcess, until
from support.simulators import access_to

CONFIG = '[genesys]\nendpoint = "{endpoint}"\n[poll]\ninterval = 1\n'


@pytest.fixture
def start(credentials, tmp_path) -> Iterator[Callable[..., DaemonProcess]]:
    """Start `queuetick run` on the simulator, or another command that writes lines."""
    with contextlib.ExitStack() as running:

        def run(endpoint: str = "observations", **options) -> DaemonProcess:
            daemon = DaemonProcess(
                CONFIG.format(endpoint=endpoint),
                **{"environment": credentials, "directory": tmp_path} | options,
            )
            return running.enter_context(daemon)

        yield run


@pytest.mark.parametrize("endpoint", ["observations", "details"])
def test_45_queues_take_3_requests_a_cycle_and_every_value_is_the_servers(
    endpoint, start, credentials
) -> None:
    daemon = start(endpoint)
    daemon.await_event("cycle.completed", 3)
    daemon.stop()
    lines = daemon.lines
    assert (0, "") == (daemon.process.returncode, daemon.stderr)
    assert lines[-1]["event"] == "daemon.stopped"
    validator = jsonschema.Draft202012Validator(json_schema())
    for line in lines:
        validator.validate(line)
    by_cycle = Counter(line["cycle"] for line in daemon.events("queue.snapshot"))
    assert {1: 45, 2: 45, 3: 45} == {cycle: by_cycle[cycle] for cycle in (1, 2, 3)}
    for line in daemon.events("cycle.completed")[:3]:
        assert (3, 45, "ok") == (line["requests"], line["snapshots"], line["outcome"])
    assert lines[0]["event"] == "daemon.started"
    assert {"needed": 180.0, "allowed": 300} == lines[0]["requests_per_minute"]
    assert credentials["GENESYS_CLIENT_SECRET"] not in json.dumps(lines)


def test_snapshots_equal_the_servers_truth_at_a_moment_that_stands_still(queuetick, environment) -> None:
    noon = datetime.fromisoformat("2026-11-24T12:00:00+00:00").timestamp()
    with Simulator(queues=45, seed=3, clock=lambda: noon) as simulator:
        env = {**environment, **access_to(simulator)}
        observed = queuetick("once", env=env)
        details = queuetick("once", env=env, config='[genesys]\nendpoint = "details"\n')
        truth = simulator.truth()
    assert 45 == len(truth) == len(observed.events("queue.snapshot")) == len(details.events("queue.snapshot"))
    for line in observed.events("queue.snapshot"):
        expected = truth[line["queue_id"]]
        assert expected["waiting"] == line["waiting"]
        assert expected["agents_available"] == line["agents_available"]
        assert expected["interacting"] == line["interacting"]
        assert expected["alerting"] == line["alerting"]
        assert expected["members"] == line["members"]
        assert expected["joined"] == line["members_joined"]
        assert (line["longest_wait_seconds"] is None) == (line["waiting"] == 0)
        assert (line["longest_interaction_seconds"] is None) == (line["interacting"] == 0)
    for line in details.events("queue.snapshot"):
        expected = truth[line["queue_id"]]
        assert (expected["waiting"], expected["agents_available"]) == (
            line["waiting"],
            line["agents_available"],
        )
        unsaid = ("interacting", "alerting", "longest_wait_seconds", "longest_interaction_seconds", "agents_on_queue",
                  "agents_by_status", "members", "members_joined", "media")  # fmt: skip
        assert [None] * len(unsaid) == [line[name] for name in unsaid]


def test_sigterm_while_the_server_hangs_ends_within_10_seconds_with_a_whole_last_line(
    simulator, start
) -> None:
    daemon = start()
    daemon.await_event("cycle.completed")
    simulator.set_faults(hang=1.0)
    seen = len(simulator.requests)
    until(lambda: len(simulator.requests) > seen, 10)
    assert daemon.stop() < 10
    last = daemon.lines[-1]
    assert (0, "daemon.stopped", "SIGTERM") == (daemon.process.returncode, last["event"], last["reason"])
    assert daemon.account.breaches == []


def test_sighup_puts_a_new_configuration_in_force_and_rejects_a_bad_one(start, tmp_path) -> None:
    daemon = start()
    daemon.await_event("cycle.completed")
    (tmp_path / "config.toml").write_text("[poll]\ninterval = 1\nbatch_size = 0\n")
    daemon.process.send_signal(signal.SIGHUP)
    rejected = daemon.await_event("config.rejected")
    assert [problem["key"] for problem in rejected["problems"]] == ["poll.batch_size"]
    (tmp_path / "config.toml").write_text("[poll]\ninterval = 1\nbatch_size = 45\n")
    daemon.process.send_signal(signal.SIGHUP)
    assert ["poll.batch_size"] == daemon.await_event("config.reloaded")["changed"]
    seen = len(daemon.events("cycle.completed"))
    assert 1 == daemon.await_event("cycle.completed", seen + 2)["batches"]
    daemon.stop(signal.SIGINT)
    assert daemon.process.returncode == 0


def test_explicit_ids_alone_are_all_that_is_polled_and_get_their_names(
    queuetick, credentials, simulator
) -> None:
    chosen = simulator.queue_ids[:2]
    result = queuetick(
        "once", env=credentials, config=f"[queues]\nids = {json.dumps([i.upper() for i in chosen])}\n"
    )
    assert result.code == 0
    snapshots = result.events("queue.snapshot")
    assert set(chosen) == {line["queue_id"] for line in snapshots}
    assert all(line["queue_name"] for line in snapshots)


def test_an_unknown_id_is_missing_and_costs_the_others_nothing(queuetick, credentials, simulator) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    ids = json.dumps([simulator.queue_ids[0], unknown])
    result = queuetick("once", env=credentials, config=f"[queues]\nids = {ids}\n")
    assert [unknown] == [line["queue_id"] for line in result.events("queue.missing")]
    report = result.events("cycle.completed")[0]
    assert (2, 1, 1, "ok") == (report["queues"], report["snapshots"], report["missing"], report["outcome"])


def test_one_connection_refused_after_another_is_no_traceback(queuetick, credentials, closed_port) -> None:
    result = queuetick("once", env={**credentials, "GENESYS_API_URL": f"http://127.0.0.1:{closed_port}"})
    assert result.code == 75
    assert "Traceback" not in result.stdout + result.stderr
    assert "Connection refused" in result.events("api.lost")[0]["reason"]
    assert result.lines[-1]["event"] == "daemon.stopped"


def test_the_users_sdk_config_cannot_change_the_host(queuetick, credentials, tmp_path) -> None:
    folder = tmp_path / ".genesyscloudpython"
    folder.mkdir()
    (folder / "config").write_text(
        "[general]\nhost = https://evil.invalid\n[gateway]\nhost = evil.invalid\nport = 1\n"
    )
    assert queuetick("once", env=credentials).code == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_ends_at_ctrl_c_with_daemon_stopped(sent, environment, start) -> None:
    daemon = start(environment=environment, command=("demo", "--interval", "1", "--queues", "2"))
    daemon.await_event("cycle.completed")
    daemon.stop(sent)
    assert (0, "") == (daemon.process.returncode, daemon.stderr)
    assert ("daemon.stopped", sent.name) == (daemon.lines[-1]["event"], daemon.lines[-1]["reason"])


def test_python_dash_m_is_the_console_script(queuetick, environment) -> None:
    result = queuetick("--version", env=environment)
    assert (0, "queuetick ") == (result.code, result.stdout[:10])


@pytest.mark.parametrize("sent", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_in_the_first_moments_is_kept_until_the_daemon_can_hear_it(sent, start) -> None:
    """From when `run` blocks signals, first of all. Starting a thread blocks all of them for a moment."""
    daemon = start()

    def blocked(number: signal.Signals) -> bool:
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        return bool(int(status.partition("SigBlk:")[2].split()[0], 16) & 1 << number - 1)

    until(lambda: blocked(sent) and not blocked(signal.SIGCHLD), 10)
    daemon.process.send_signal(sent)
    if sent == signal.SIGHUP:
        daemon.await_event("config.reloaded")
        daemon.process.send_signal(signal.SIGTERM)
    daemon.process.wait(15)
    daemon.read_rest()
    assert (0, "daemon.stopped") == (daemon.process.returncode, daemon.lines[-1]["event"])
