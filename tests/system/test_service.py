"""The service's life: start, status, reload, crash, hang, refusal, stop."""

from __future__ import annotations

import json
import re
import time

import pytest

from .booted import CONFIG, CREDENTIALS, DEADLINE, UNIT, Box, configure, start_simulator, wait_for

pytestmark = pytest.mark.system

RESTART_SECONDS = 5

HANG = """
import faulthandler, sys
sys.path[:0] = ["/usr/lib/queuetick/lib", f"/usr/lib/queuetick/lib-cp{sys.version_info[0]}{sys.version_info[1]}"]
faulthandler.enable()
from pathlib import Path
from threading import Event
from queuetick.polling.cycle import Cycle

run = Cycle.run

def hang(*arguments, **options):
    if Path("/run/hang/now").exists():
        Event().wait()
    return run(*arguments, **options)

Cycle.run = hang

from queuetick.cli.main import main
sys.exit(main())
"""
"""The command, with a cycle that never ends from the moment the file is there."""


def start(box: Box, unit: str = UNIT) -> str:
    """Start it, and say from where in the journal its lines are to be read."""
    since = box.now()
    box.run("systemctl", "start", unit)
    return since


def main_pid(box: Box) -> int:
    return int(box.show(UNIT, "MainPID"))


def only_json(box: Box, since: str) -> bool:
    """Whether every line with our identifier is one whole JSON object."""
    return all(
        isinstance(json.loads(entry["MESSAGE"]), dict) for entry in box.journal(since, "-t", "queuetick")
    )


def back(box: Box, before: int) -> bool:
    """Whether another process is up and ready."""
    return box.show(UNIT, "ActiveState") == "active" and main_pid(box) not in (0, before)


def test_ready_only_after_the_login_is_answered(box: Box) -> None:
    """A start job that has ended means that Genesys Cloud has taken the credentials."""
    since = box.now()
    box.run("systemctl", "kill", "--signal=STOP", "simulator")
    try:
        box.run("systemctl", "start", "--no-block", UNIT)
        box.wait_state(UNIT, "activating")
        wait_for("a connection to the login", lambda: box.out("ss", "-Htn", "dst", "127.0.0.1:8080"))
        time.sleep(0.5)  # the claim is that nothing happens

        assert box.show(UNIT, "ActiveState") == "activating"
        assert box.events(since, "queue.snapshot") == []
    finally:
        box.run("systemctl", "kill", "--signal=CONT", "simulator")

    box.wait_state(UNIT, "active")


def test_an_outage_is_not_a_start_failure(box: Box) -> None:
    """With nobody at the other end the service starts, says so, and is there when the API comes back."""
    configure(box, CONFIG.replace("8080", "8081"))

    since = start(box)

    assert box.wait_event(since, "api.lost")["level"] == "error"
    assert box.show(UNIT, "ActiveState") == "active"


def test_snapshots_are_in_the_journal_as_whole_json(box: Box) -> None:
    """Every message with our identifier is one JSON object, and every queue has one."""
    since = start(box)
    box.wait_event(since, "cycle.completed")

    first = [line for line in box.events(since, "queue.snapshot") if line["cycle"] == 1]

    assert only_json(box, since)
    assert len({line["queue_id"] for line in first}) == 12


def test_errors_are_errors_to_journalctl(box: Box) -> None:
    """`journalctl -t queuetick -p err` shows the error lines and no others, without their priority prefix."""
    configure(box, CONFIG.replace("8080", "8081"))
    since = start(box)
    box.wait_event(since, "api.lost")

    errors = [entry["MESSAGE"] for entry in box.journal(since, "-t", "queuetick", "-p", "err")]

    assert errors
    assert all('"level":"error"' in message.replace(" ", "") for message in errors), errors


def test_status_is_one_line_about_the_last_cycle(box: Box) -> None:
    """`systemctl status` answers the first question: is it working, and how close is it to the limit?"""
    since = start(box)
    box.wait_event(since, "cycle.completed")

    pattern = r"cycle \d+: 12/12 queues, [\d.]+ s, \d+/\d+ requests, waiting \d+"
    wait_for("the status line", lambda: re.fullmatch(pattern, box.show(UNIT, "StatusText")))

    assert re.search(r'Status: "' + pattern, box.run("systemctl", "status", UNIT).stdout)


def test_reload_puts_a_good_configuration_in_force(box: Box) -> None:
    """The same process goes on with the new configuration."""
    since = start(box)
    before = main_pid(box)
    box.write("/etc/queuetick/config.toml", CONFIG.replace("interval = 1", "interval = 2"))

    box.run("systemctl", "reload", UNIT)

    assert "poll.interval" in box.wait_event(since, "config.reloaded")["changed"]
    assert only_json(box, since)
    assert (main_pid(box), box.show(UNIT, "ActiveState")) == (before, "active")


def test_reload_refuses_a_bad_configuration_and_says_so(box: Box) -> None:
    """`systemctl reload` fails, the journal has the reasons, and the old configuration stays in force."""
    since = start(box)
    before = main_pid(box)
    box.write("/etc/queuetick/config.toml", CONFIG + '\n[queues]\nids = ["not-a-uuid"]\n')

    done = box.run("systemctl", "reload", UNIT, check=False)

    assert done.returncode != 0
    rejected = box.wait_event(since, "config.rejected")
    assert "not-a-uuid" in str(rejected["problems"])
    assert (main_pid(box), box.show(UNIT, "ActiveState")) == (before, "active")
    rejected_at = box.now()
    box.wait_event(rejected_at, "cycle.completed")


def test_a_killed_daemon_is_back_within_the_restart_time(box: Box) -> None:
    """kill -9, and it polls again after RestartSec and one start."""
    since = start(box)
    before = main_pid(box)
    assert (box.show(UNIT, "RestartUSec"), box.show(UNIT, "WatchdogUSec")) == (f"{RESTART_SECONDS}s", "1min")
    killed = time.monotonic()
    box.run("kill", "-9", str(before))

    wait_for("restarted", lambda: back(box, before), RESTART_SECONDS + DEADLINE)

    print(f"back {time.monotonic() - killed:.1f} s after kill -9 (RestartSec={RESTART_SECONDS})")
    assert time.monotonic() - killed < RESTART_SECONDS + 5
    assert box.show(UNIT, "NRestarts") == "1"
    wait_for("a second first cycle", lambda: len(box.events(since, "daemon.started")) == 2)


def ended_by_the_watchdog(box: Box, since: str, before: int) -> None:
    """Wait until systemd has put another process in the place of `before`, and said why."""
    wait_for("restarted", lambda: back(box, before), 40)
    assert box.show(UNIT, "NRestarts") == "1"
    assert any("Watchdog timeout" in entry["MESSAGE"] for entry in box.journal(since, f"UNIT={UNIT}"))
    told = [entry["MESSAGE"] for entry in box.journal(since, f"_PID={before}")]
    assert "Fatal Python error: Aborted" in told, told
    assert any("/queuetick/daemon/daemon.py" in line for line in told), told


def test_a_frozen_daemon_is_ended_by_the_watchdog_and_is_back(box: Box) -> None:
    """A process that does nothing at all; the journal then has the place in the code where each thread was."""
    box.write(f"/run/systemd/system/{UNIT}.d/quick.conf", "[Service]\nWatchdogSec=4s\nRestartSec=100ms\n")
    box.run("systemctl", "daemon-reload")
    since = start(box)
    box.wait_event(since, "cycle.completed")
    before = main_pid(box)

    box.run("kill", "-STOP", str(before))

    ended_by_the_watchdog(box, since, before)


def test_a_hung_cycle_is_ended_by_the_watchdog_and_is_back(box: Box) -> None:
    """The main thread is well and answers signals, but no cycle ends any more: that is no life either."""
    box.write("/run/hang/queuetick.py", HANG)
    box.write(
        f"/run/systemd/system/{UNIT}.d/hang.conf",
        "[Service]\nWatchdogSec=2s\nRestartSec=100ms\nExecStart=\n"
        "ExecStart=/usr/bin/python3 -IS /run/hang/queuetick.py run --config /etc/queuetick/config.toml\n",
    )
    box.run("systemctl", "daemon-reload")
    configure(box, CONFIG.replace("[poll]", "timeout = 0.1\n[poll]"))
    since = start(box)
    box.wait_event(since, "cycle.completed")
    before = main_pid(box)

    box.write("/run/hang/now", "")
    wait_for("Watchdog", lambda: "Watchdog timeout" in str(box.journal(since, f"UNIT={UNIT}")), 40)
    box.run("rm", "/run/hang/now")

    ended_by_the_watchdog(box, since, before)


def test_the_watchdog_leaves_a_daemon_alone_that_waits_for_its_next_cycle(box: Box) -> None:
    """Waiting is progress: an interval much longer than WatchdogSec is no hang."""
    box.write(f"/run/systemd/system/{UNIT}.d/quick.conf", "[Service]\nWatchdogSec=2s\n")
    box.run("systemctl", "daemon-reload")
    configure(box, CONFIG.replace("interval = 1", "interval = 60"))
    start(box)
    before = main_pid(box)
    time.sleep(5)  # the claim is that nothing happens

    assert (main_pid(box), box.show(UNIT, "NRestarts")) == (before, "0")


def refused(box: Box, status: str) -> str:
    """Start the service, which fails with this exit status and is not restarted; what it says as an error."""
    since = box.now()
    assert box.run("systemctl", "start", UNIT, check=False).returncode != 0
    assert box.show(UNIT, "ExecMainStatus") == status
    assert (box.show(UNIT, "ActiveState"), box.show(UNIT, "NRestarts")) == ("failed", "0")
    return "\n".join(entry["MESSAGE"] for entry in box.journal(since, "-t", "queuetick", "-p", "err"))


def test_a_wrong_secret_fails_with_77_and_is_not_restarted(box: Box) -> None:
    """Only a person can cure refused credentials, so nothing tries again; the journal says why."""
    box.write(f"{CREDENTIALS}/genesys_client_secret", "not-the-secret\n", "600")
    told = refused(box, "77")
    assert "the client secret is wrong" in told, told
    assert "not-the-secret" not in told


def test_a_bad_configuration_fails_with_78_and_is_not_restarted(box: Box) -> None:
    """Every problem is in the journal, and nothing loops."""
    configure(box, CONFIG + "intervall = 15\n")
    told = refused(box, "78")
    assert "poll.intervall" in told, told


def test_empty_credentials_fail_with_78(box: Box) -> None:
    """The placeholders of a fresh installation are recognised as such."""
    box.write(f"{CREDENTIALS}/genesys_client_id", "", "600")
    box.write(f"{CREDENTIALS}/genesys_client_secret", "", "600")
    refused(box, "78")


def test_a_missing_credential_file_is_not_restarted(box: Box) -> None:
    """systemd itself ends such a start, with its status 243/CREDENTIALS."""
    box.run("rm", f"{CREDENTIALS}/genesys_client_secret")
    refused(box, "243")


def test_stop_takes_less_than_two_seconds_and_ends_with_0(box: Box) -> None:
    """The last line is daemon.stopped, and whole."""
    since = start(box)
    box.wait_event(since, "cycle.completed")
    before = time.monotonic()

    box.run("systemctl", "stop", UNIT)

    seconds = time.monotonic() - before
    print(f"stopped in {seconds:.2f} s")
    assert seconds < 2
    assert (box.show(UNIT, "ExecMainStatus"), box.show(UNIT, "Result")) == ("0", "success")
    assert box.events(since)[-1]["event"] == "daemon.stopped"


def test_two_organisations_side_by_side(box: Box) -> None:
    """Two instances have their own configuration, credentials, account and log directory."""
    other = start_simulator(box, unit="other-simulator", port=8090, options="--queues 3")
    configure(box, org="emea")
    configure(box, CONFIG.replace("8080", "8090"), org="apac", simulator=other)
    since = box.now()

    box.run("systemctl", "start", "queuetick@emea", "queuetick@apac")

    emea = box.wait_event(since, "cycle.completed", "queuetick@emea.service")
    apac = box.wait_event(since, "cycle.completed", "queuetick@apac.service")
    assert (emea["queues"], apac["queues"]) == (12, 3)
    pids = [box.show(f"queuetick@{org}", "MainPID") for org in ("emea", "apac")]
    assert [box.out("ps", "-o", "user:32=", "-p", pid) for pid in pids] == [
        "queuetick-emea",
        "queuetick-apac",
    ]
    assert box.exists("/var/log/queuetick-emea")
    assert box.exists("/var/log/queuetick-apac")
    box.run("systemctl", "stop", "queuetick@emea", "other-simulator")
    assert box.show("queuetick@apac", "ActiveState") == "active"
