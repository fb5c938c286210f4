"""The service's life: start, status, reload, crash, hang, refusal, stop."""

from __future__ import annotations

import re
import time

import pytest
from conftest import CONFIG, CREDENTIALS, DEADLINE, Box, configure, start_simulator, wait_for

pytestmark = pytest.mark.system

UNIT = "queuetick.service"
RESTART_SECONDS = 5


def start(box: Box, unit: str = UNIT) -> str:
    """Start it, and say from where in the journal its lines are to be read."""
    cursor = box.cursor()
    box.run("systemctl", "start", unit)
    return cursor


def main_pid(box: Box) -> int:
    return int(box.show(UNIT, "MainPID"))


def back(box: Box, before: int) -> bool:
    """Whether another process is up and ready."""
    return box.show(UNIT, "ActiveState") == "active" and main_pid(box) not in (0, before)


def test_ready_only_after_the_login_is_answered(box: Box) -> None:
    """A start job that has ended means that Genesys Cloud has taken the credentials."""
    cursor = box.cursor()
    box.run("systemctl", "kill", "--signal=STOP", "simulator")
    try:
        box.run("systemctl", "start", "--no-block", UNIT)
        box.wait_state(UNIT, "activating")
        wait_for("a connection to the login", lambda: "127.0.0.1:8080" in box.out("ss", "-Htn", "dst", "127.0.0.1:8080"))
        time.sleep(0.5)  # the claim is that nothing happens

        assert box.show(UNIT, "ActiveState") == "activating"
        assert box.events(cursor, "queue.snapshot") == []
    finally:
        box.run("systemctl", "kill", "--signal=CONT", "simulator")

    box.wait_state(UNIT, "active")


def test_an_outage_is_not_a_start_failure(box: Box) -> None:
    """With nobody at the other end the service starts, says so, and is there when the API comes back."""
    configure(box, CONFIG.replace("8080", "8081"))

    cursor = start(box)

    assert box.wait_event(cursor, "api.lost")["level"] == "error"
    assert box.show(UNIT, "ActiveState") == "active"


def test_snapshots_are_in_the_journal_as_whole_json(box: Box) -> None:
    """Every message with our identifier is one JSON object, and every queue has one."""
    cursor = start(box)
    box.wait_event(cursor, "cycle.completed")

    messages = [entry["MESSAGE"] for entry in box.journal(cursor, "SYSLOG_IDENTIFIER=queuetick")]
    first = [line for line in box.events(cursor, "queue.snapshot") if line["cycle"] == 1]

    assert all(message.startswith("{") and message.endswith("}") for message in messages), messages
    assert len({line["queue_id"] for line in first}) == 12


def test_errors_are_errors_to_journalctl(box: Box) -> None:
    """`journalctl -t queuetick -p err` shows the error lines and no others, without their priority prefix."""
    configure(box, CONFIG.replace("8080", "8081"))
    cursor = start(box)
    box.wait_event(cursor, "api.lost")

    errors = [entry["MESSAGE"] for entry in box.journal(cursor, "-t", "queuetick", "-p", "err")]

    assert errors
    assert all('"level":"error"' in message.replace(" ", "") for message in errors), errors


def test_status_is_one_line_about_the_last_cycle(box: Box) -> None:
    """`systemctl status` answers the first question: is it working, and how close is it to the limit?"""
    cursor = start(box)
    box.wait_event(cursor, "cycle.completed")

    pattern = r"cycle \d+: 12/12 queues, [\d.]+ s, \d+/\d+ requests, waiting \d+"
    wait_for("the status line", lambda: re.fullmatch(pattern, box.show(UNIT, "StatusText")))

    assert re.search(r'Status: "' + pattern, box.run("systemctl", "status", UNIT).stdout)


def test_reload_puts_a_good_configuration_in_force(box: Box) -> None:
    """The same process goes on with the new configuration."""
    cursor = start(box)
    before = main_pid(box)
    box.write("/etc/queuetick/config.toml", CONFIG.replace("interval = 1", "interval = 2"))

    box.run("systemctl", "reload", UNIT)

    assert "poll.interval" in box.wait_event(cursor, "config.reloaded")["changed"]
    assert (main_pid(box), box.show(UNIT, "ActiveState")) == (before, "active")


def test_reload_refuses_a_bad_configuration_and_says_so_twice(box: Box) -> None:
    """`systemctl reload` fails under the administrator's hands, the journal has the reasons, the old one stays in force."""
    cursor = start(box)
    before = main_pid(box)
    box.write("/etc/queuetick/config.toml", CONFIG + '\n[queues]\nids = ["not-a-uuid"]\n')

    done = box.run("systemctl", "reload", UNIT, check=False)

    assert done.returncode != 0
    rejected = box.wait_event(cursor, "config.rejected")
    assert "not-a-uuid" in str(rejected["problems"])
    assert (main_pid(box), box.show(UNIT, "ActiveState")) == (before, "active")
    cycle = max(line["cycle"] for line in box.events(cursor, "cycle.completed"))
    wait_for("cycles go on", lambda: max(line["cycle"] for line in box.events(cursor, "cycle.completed")) > cycle)


def test_a_killed_daemon_is_back_within_the_restart_time(box: Box) -> None:
    """kill -9, and it polls again after RestartSec and one start."""
    cursor = start(box)
    before = main_pid(box)
    killed = time.monotonic()
    box.run("kill", "-9", str(before))

    wait_for("restarted", lambda: back(box, before), RESTART_SECONDS + DEADLINE)

    print(f"back {time.monotonic() - killed:.1f} s after kill -9 (RestartSec={RESTART_SECONDS})")
    assert time.monotonic() - killed < RESTART_SECONDS + 5
    assert box.show(UNIT, "NRestarts") == "1"
    wait_for("a second first cycle", lambda: [e["cycle"] for e in box.events(cursor, "cycle.completed")].count(1) == 2)


def test_a_hung_daemon_is_ended_by_the_watchdog_and_is_back(box: Box) -> None:
    """A process that makes no progress is as good as dead: systemd kills it and starts another one."""
    box.write(f"/run/systemd/system/{UNIT}.d/quick.conf", "[Service]\nWatchdogSec=4s\nRestartSec=100ms\n")
    box.run("systemctl", "daemon-reload")
    cursor = start(box)
    box.wait_event(cursor, "cycle.completed")
    before = main_pid(box)

    box.run("kill", "-STOP", str(before))
    wait_for("restarted", lambda: back(box, before), 30)

    told = [entry["MESSAGE"] for entry in box.journal(cursor, f"UNIT={UNIT}")]
    assert any("Watchdog timeout" in message for message in told), told
    assert box.show(UNIT, "NRestarts") == "1"


def test_the_watchdog_leaves_a_daemon_alone_that_waits_for_its_next_cycle(box: Box) -> None:
    """Waiting is progress: an interval much longer than WatchdogSec is no hang."""
    box.write(f"/run/systemd/system/{UNIT}.d/quick.conf", "[Service]\nWatchdogSec=2s\n")
    box.run("systemctl", "daemon-reload")
    configure(box, CONFIG.replace("interval = 1", "interval = 60"))
    start(box)
    before = main_pid(box)
    time.sleep(5)  # the claim is that nothing happens

    assert (main_pid(box), box.show(UNIT, "NRestarts")) == (before, "0")


def test_a_wrong_secret_fails_with_77_and_is_not_restarted(box: Box) -> None:
    """Only a person can cure refused credentials, so nothing tries again; the journal says why."""
    box.write(f"{CREDENTIALS}/genesys_client_secret", "not-the-secret\n", "600")
    cursor = box.cursor()

    done = box.run("systemctl", "start", UNIT, check=False)

    assert done.returncode != 0
    assert box.show(UNIT, "ExecMainStatus") == "77"
    assert (box.show(UNIT, "ActiveState"), box.show(UNIT, "NRestarts")) == ("failed", "0")
    told = "\n".join(entry["MESSAGE"] for entry in box.journal(cursor, f"_SYSTEMD_UNIT={UNIT}"))
    assert re.search("credential|refused|secret", told, re.IGNORECASE), told
    assert "not-the-secret" not in told


def test_a_bad_configuration_fails_with_78_and_is_not_restarted(box: Box) -> None:
    """Every problem is in the journal, and nothing loops."""
    configure(box, CONFIG + "\n[pol]\nintervall = 15\n")
    cursor = box.cursor()

    done = box.run("systemctl", "start", UNIT, check=False)

    assert done.returncode != 0
    assert box.show(UNIT, "ExecMainStatus") == "78"
    assert (box.show(UNIT, "ActiveState"), box.show(UNIT, "NRestarts")) == ("failed", "0")
    assert "pol" in "\n".join(entry["MESSAGE"] for entry in box.journal(cursor, f"_SYSTEMD_UNIT={UNIT}"))


def test_empty_credentials_fail_with_78(box: Box) -> None:
    """The placeholders of a fresh installation are recognised as such."""
    box.write(f"{CREDENTIALS}/genesys_client_id", "", "600")
    box.write(f"{CREDENTIALS}/genesys_client_secret", "", "600")

    box.run("systemctl", "start", UNIT, check=False)

    assert (box.show(UNIT, "ExecMainStatus"), box.show(UNIT, "NRestarts")) == ("78", "0")


def test_a_missing_credential_file_is_not_restarted(box: Box) -> None:
    """systemd itself ends such a start, with its status 243/CREDENTIALS."""
    box.run("rm", f"{CREDENTIALS}/genesys_client_secret")

    box.run("systemctl", "start", UNIT, check=False)

    assert (box.show(UNIT, "ExecMainStatus"), box.show(UNIT, "NRestarts")) == ("243", "0")


def test_stop_takes_less_than_two_seconds_and_ends_with_0(box: Box) -> None:
    """The last line is daemon.stopped, and whole."""
    cursor = start(box)
    box.wait_event(cursor, "cycle.completed")
    before = time.monotonic()

    box.run("systemctl", "stop", UNIT)

    seconds = time.monotonic() - before
    print(f"stopped in {seconds:.2f} s")
    assert seconds < 2
    assert (box.show(UNIT, "ExecMainStatus"), box.show(UNIT, "Result")) == ("0", "success")
    assert box.events(cursor)[-1]["event"] == "daemon.stopped"


def test_two_organisations_side_by_side(box: Box) -> None:
    """Two instances have their own configuration, credentials, account and log directory."""
    if not box.out("systemctl", "list-units", "--plain", "--no-legend", "simulator-8090.service"):
        known = box.simulator
        start_simulator(box, queues=3, port=8090)
        box.other, box.simulator = box.simulator, known
    known = box.simulator
    configure(box, CONFIG, org="emea")
    box.simulator = box.other
    configure(box, CONFIG.replace("8080", "8090"), org="apac")
    box.simulator = known
    cursor = box.cursor()

    box.run("systemctl", "start", "queuetick@emea", "queuetick@apac")

    emea = box.wait_event(cursor, "cycle.completed", "queuetick@emea.service")
    apac = box.wait_event(cursor, "cycle.completed", "queuetick@apac.service")
    assert (emea["queues"], apac["queues"]) == (12, 3)
    accounts = {box.out("ps", "-o", "uid=", "-p", box.show(f"queuetick@{org}", "MainPID")) for org in ("emea", "apac")}
    assert len(accounts) == 2
    assert box.exists("/var/log/queuetick-emea")
    assert box.exists("/var/log/queuetick-apac")
    box.run("systemctl", "stop", "queuetick@emea")
    assert box.show("queuetick@apac", "ActiveState") == "active"
