"""The daemon as its users run it, on the simulator's real socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest

from queuetick.events.schema import json_schema

QUEUETICK = [sys.executable, "-m", "queuetick"]
CONFIG = '[genesys]\nendpoint = "{endpoint}"\n[poll]\ninterval = 1\n'


def start(env, cwd, config):
    (cwd / "config.toml").write_text(config)
    return subprocess.Popen(
        [*QUEUETICK, "run"], env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def read_until(process, satisfied, seconds=20.0):
    """Read lines until `satisfied(lines)`; the deadline only ends a test that has failed."""
    lines = []
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        for raw in process.stdout:
            lines.append(json.loads(raw))
            if satisfied(lines):
                return lines
    finally:
        timer.cancel()
    pytest.fail(
        f"ended after {[line['event'] for line in lines][-5:]}, stderr: {process.stderr.read().decode()}"
    )


def completed(count):
    return lambda lines: sum(line["event"] == "cycle.completed" for line in lines) >= count


def finish(process):
    rest, errors = process.communicate(timeout=15)
    return [json.loads(line) for line in rest.splitlines()], errors.decode()


@pytest.mark.parametrize("endpoint", ["observations", "details"])
def test_45_queues_take_3_requests_a_cycle_and_every_value_is_the_servers(
    endpoint, simulator, credentials, tmp_path
) -> None:
    process = start(credentials, tmp_path, CONFIG.format(endpoint=endpoint))
    lines = read_until(process, completed(3))
    process.send_signal(signal.SIGTERM)
    rest, errors = finish(process)
    assert (0, "") == (process.returncode, errors)
    assert rest[-1]["event"] == "daemon.stopped"
    validator = jsonschema.Draft202012Validator(json_schema())
    for line in lines + rest:
        validator.validate(line)
    by_cycle = Counter(line["cycle"] for line in lines if line["event"] == "queue.snapshot")
    assert {1: 45, 2: 45, 3: 45} == {cycle: by_cycle[cycle] for cycle in (1, 2, 3)}
    for line in (line for line in lines if line["event"] == "cycle.completed"):
        assert (3, 45, "ok") == (line["requests"], line["snapshots"], line["outcome"])
    assert lines[0]["event"] == "daemon.started"
    assert {"needed": 180.0, "allowed": 300} == lines[0]["requests_per_minute"]
    assert credentials["GENESYS_CLIENT_SECRET"] not in json.dumps(lines + rest)


def test_snapshots_equal_the_servers_truth_at_a_moment_that_stands_still(queuetick, environment) -> None:
    from queuetick.simulator import Simulator

    noon = datetime.fromisoformat("2026-11-24T12:00:00+00:00").timestamp()
    with Simulator(queues=45, seed=3, clock=lambda: noon) as simulator:
        env = {
            **environment,
            "GENESYS_API_URL": simulator.url,
            "GENESYS_CLIENT_ID": simulator.client_id,
            "GENESYS_CLIENT_SECRET": simulator.client_secret,
        }
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
    simulator, credentials, tmp_path
) -> None:
    process = start(credentials, tmp_path, CONFIG.format(endpoint="observations"))
    read_until(process, completed(1))
    simulator.set_faults(hang=1.0)
    seen = len(simulator.requests)
    deadline = time.monotonic() + 10
    while len(simulator.requests) == seen and time.monotonic() < deadline:
        os.sched_yield()
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    rest, _ = finish(process)
    assert time.monotonic() - asked < 10
    assert (0, "daemon.stopped", "SIGTERM") == (process.returncode, rest[-1]["event"], rest[-1]["reason"])


def test_sighup_puts_a_new_configuration_in_force_and_rejects_a_bad_one(
    simulator, credentials, tmp_path
) -> None:
    process = start(credentials, tmp_path, CONFIG.format(endpoint="observations"))
    read_until(process, completed(1))
    (tmp_path / "config.toml").write_text("[poll]\ninterval = 1\nbatch_size = 0\n")
    process.send_signal(signal.SIGHUP)
    rejected = read_until(process, lambda lines: lines[-1]["event"] == "config.rejected")[-1]
    assert [problem["key"] for problem in rejected["problems"]] == ["poll.batch_size"]
    (tmp_path / "config.toml").write_text("[poll]\ninterval = 1\nbatch_size = 45\n")
    process.send_signal(signal.SIGHUP)
    reloaded = read_until(process, lambda lines: lines[-1]["event"] == "config.reloaded")[-1]
    assert ["genesys.endpoint", "poll.batch_size"] == sorted(reloaded["changed"]) or [
        "poll.batch_size"
    ] == reloaded["changed"]
    after = read_until(process, completed(2))
    assert 1 == [line for line in after if line["event"] == "cycle.completed"][-1]["batches"]
    process.send_signal(signal.SIGINT)
    finish(process)
    assert process.returncode == 0


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


def test_one_connection_refused_after_another_is_no_traceback(queuetick, credentials) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = queuetick("once", env={**credentials, "GENESYS_API_URL": f"http://127.0.0.1:{port}"})
    assert result.code == 75
    assert "Traceback" not in result.stdout + result.stderr
    assert "Connection refused" in result.events("api.lost")[0]["reason"]


def test_the_users_sdk_config_cannot_change_the_host(queuetick, credentials, tmp_path) -> None:
    folder = tmp_path / ".genesyscloudpython"
    folder.mkdir()
    (folder / "config").write_text(
        "[general]\nhost = https://evil.invalid\n[gateway]\nhost = evil.invalid\nport = 1\n"
    )
    assert queuetick("once", env=credentials).code == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_ends_at_ctrl_c_with_daemon_stopped(sent, environment, tmp_path) -> None:
    command = [*QUEUETICK, "demo", "--interval", "1", "--queues", "2"]
    process = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    read_until(process, completed(1))
    process.send_signal(sent)
    rest, errors = finish(process)
    assert (0, "") == (process.returncode, errors)
    assert ("daemon.stopped", sent.name) == (rest[-1]["event"], rest[-1]["reason"])


def test_python_dash_m_is_the_console_script(queuetick, environment) -> None:
    result = queuetick("--version", env=environment)
    assert (0, "queuetick ") == (result.code, result.stdout[:10])


@pytest.mark.parametrize("sent", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_in_the_first_moments_is_kept_until_the_daemon_can_hear_it(
    sent, credentials, tmp_path
) -> None:
    process = start(credentials, tmp_path, CONFIG.format(endpoint="observations"))
    deadline = time.monotonic() + 10
    blocked = 0
    while not blocked and time.monotonic() < deadline:  # the mask is the first thing that `run` sets
        with Path(f"/proc/{process.pid}/status").open() as status:
            blocked = next(int(line.split()[1], 16) for line in status if line.startswith("SigBlk"))
    process.send_signal(sent)
    if sent == signal.SIGHUP:
        read_until(process, lambda lines: lines[-1]["event"] == "config.reloaded")
        process.send_signal(signal.SIGTERM)
    rest, _ = finish(process)
    assert (0, "daemon.stopped") == (process.returncode, rest[-1]["event"])
