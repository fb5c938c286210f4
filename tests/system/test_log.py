"""Where the lines go: a file that logrotate moves, and a journal that drops none."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter

import pytest

from .booted import CONFIG, ONESHOT, TREE, UNIT, Box, configure, start_simulator, wait_for

pytestmark = pytest.mark.system

LOG = "/var/log/queuetick/queuetick.jsonl"
ROTATIONS = 12
BUSY = f"""
[genesys]
api_url = "http://127.0.0.1:8091"
login_url = "http://127.0.0.1:8091"
[poll]
interval = 0.2
requests_per_minute = 100000
[output]
path = "{LOG}"
"""
"""Twenty batches a cycle, five cycles a second: something is nearly always being written."""


def test_logrotate_during_writing_loses_no_line(box: Box) -> None:
    """Our own logrotate file, forced again and again while cycles run: every line is there once and whole."""
    simulator = start_simulator(box, "busy-simulator", port=8091, options="--queues 400 --rate-limit 0")
    configure(box, BUSY, simulator=simulator)
    box.run("systemctl", "start", UNIT)
    for turn in range(ROTATIONS):
        wait_for(f"lines for rotation {turn}", lambda: box.sh(f"test -s {LOG}", check=False).returncode == 0)
        box.run("logrotate", "--force", "/etc/logrotate.d/queuetick")
    box.run("systemctl", "stop", UNIT, "busy-simulator")

    assert box.exists(f"{LOG}.{ROTATIONS}.gz"), box.out("ls", "-la", "/var/log/queuetick/")
    text = box.sh(f"for n in $(seq {ROTATIONS} -1 2); do zcat {LOG}.$n.gz; done; cat {LOG}.1 {LOG}").stdout
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[0]["event"] == "daemon.started"
    assert lines[-1]["event"] == "daemon.stopped"
    cycles = [line for line in lines if line["event"] == "cycle.completed"]
    skipped = [line for line in lines if line["event"] == "cycle.skipped"]  # on a busy machine
    assert sorted(line["cycle"] for line in cycles + skipped) == list(range(1, lines[-1]["cycles"] + 1))
    written = Counter(line["cycle"] for line in lines if line["event"] == "queue.snapshot")
    assert written == {line["cycle"]: line["snapshots"] for line in cycles}
    print(f"{len(lines)} lines over {ROTATIONS} rotations")


def blocks(heading: str) -> list[str]:
    """The files that a section of sizing.md tells the administrator to write."""
    page = (TREE / "docs" / "sizing.md").read_text(encoding="utf-8")
    section = page.partition(f"### {heading}\n")[2].partition("\n#")[0]
    return re.findall(r"```ini\n(.*?)```", section, re.DOTALL)


def test_with_the_hourly_timer_logrotate_moves_a_file_over_200_mb_within_the_day(box: Box) -> None:
    """The drop-in of sizing.md: the next look is within the hour, and it looks at `maxsize`."""
    [timer] = blocks("logrotate every hour")
    box.write("/etc/systemd/system/logrotate.timer.d/hourly.conf", timer)
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "restart", "logrotate.timer")
    following = box.show("logrotate.timer", "NextElapseUSecRealtime")
    seconds = int(box.out("date", "+%s", "--date", following)) - int(box.out("date", "+%s"))
    box.run("mkdir", "--parents", "/var/log/queuetick")
    looked = []
    for size in ("199M", "201M"):
        box.run("truncate", f"--size={size}", LOG)
        box.run("systemctl", "start", "logrotate.service")
        looked.append(box.exists(f"{LOG}.1"))
    box.run("rm", "/etc/systemd/system/logrotate.timer.d/hourly.conf")

    assert 0 <= seconds <= 3600, following
    assert looked == [False, True]


def test_a_log_namespace_has_all_lines_and_the_journal_of_the_machine_none(box: Box) -> None:
    """The two files of sizing.md, and the command that reads."""
    unit, journald = blocks("A journal of its own")
    box.write(f"/etc/systemd/system/{UNIT}.d/journal.conf", unit)
    box.write("/etc/systemd/journald@queuetick.conf", journald)
    box.run("systemctl", "daemon-reload")
    since = box.now()
    box.run("systemctl", "start", UNIT)
    command = ["journalctl", "--namespace=queuetick", "-t", "queuetick", "--output=cat"]
    wait_for("a cycle", lambda: "cycle.completed" in box.run(*command, check=False).stdout)
    box.run("systemctl", "stop", UNIT)
    box.run("journalctl", "--namespace=queuetick", "--sync")

    events = [json.loads(line)["event"] for line in box.out(*command).splitlines()]
    assert (events[0], events[-1]) == ("daemon.started", "daemon.stopped")
    assert box.events(since) == []


def test_logrotate_is_content_without_the_service(box: Box) -> None:
    """No file, no service, no error mail."""
    done = box.run("logrotate", "--force", "/etc/logrotate.d/queuetick")

    assert done.stderr == ""


def test_a_static_account_lets_a_shipper_read_the_file(box: Box) -> None:
    """The way out that operations.md names, taken by a service that has run with its dynamic account before."""
    configure(box, CONFIG + f'[output]\npath = "{LOG}"\n')
    box.run("systemctl", "start", UNIT)
    box.run("systemctl", "stop", UNIT)
    assert as_shipper(box, "cat", LOG).returncode != 0

    box.sh("adduser --quiet --system --group --no-create-home queuetick && adduser --quiet nobody queuetick")
    box.write(f"/etc/systemd/system/{UNIT}.d/static.conf", "[Service]\nDynamicUser=no\n")
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "start", UNIT)
    box.run("systemctl", "stop", UNIT)
    shown = as_shipper(box, "cat", LOG)
    box.sh("deluser --quiet --system queuetick; delgroup --quiet --system queuetick")

    events = [json.loads(line)["event"] for line in shown.stdout.splitlines()]
    assert events.count("daemon.started") == 2, shown.stderr


def as_shipper(box: Box, *command: str) -> subprocess.CompletedProcess[str]:
    return box.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--init-groups", *command, check=False)


def test_the_commands_of_the_page_run(box: Box) -> None:
    """Each line of the table of operations.md, as it stands there."""
    since = box.now()
    box.run("systemctl", "start", UNIT)
    box.wait_event(since, "cycle.completed")
    page = (TREE / "docs" / "operations.md").read_text(encoding="utf-8")
    commands = [
        cell.replace("\\|", "|")
        for cell in re.findall(r"^\| .* \| `(journalctl .*)` \|$", page, re.MULTILINE)
    ]
    assert len(commands) > 4

    for command in commands:
        done = box.sh(command.removesuffix(" -f"))
        assert done.stderr == "", command


def test_the_journal_keeps_sixty_thousand_lines_at_once(box: Box) -> None:
    """journald's own limit would drop more than half of them; the unit lifts it."""
    box.write(
        f"/run/systemd/system/{UNIT}.d/flood.conf",
        f"{ONESHOT}ExecStart=/usr/bin/seq 60000\n",
    )
    box.run("systemctl", "daemon-reload")
    since = box.now()

    box.run("systemctl", "start", UNIT)

    told = [entry["MESSAGE"] for entry in box.journal(since, "SYSLOG_IDENTIFIER=queuetick")]
    assert told == [str(number) for number in range(1, 60001)]
