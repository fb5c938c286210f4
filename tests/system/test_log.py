"""Where the lines go: a file that logrotate moves, and a journal that drops none."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from .booted import ONESHOT, UNIT, Box, configure, start_simulator, wait_for

pytestmark = pytest.mark.system

LOG = "/var/log/queuetick/queues.jsonl"
ROTATIONS = 12
BUSY = f"""
[genesys]
api_url = "http://127.0.0.1:8091"
login_url = "http://127.0.0.1:8091"
[poll]
interval = 0.1
batch_size = 200
requests_per_minute = 10000
[output]
path = "{LOG}"
"""
"""Ten times two hundred lines a second."""


def test_logrotate_during_writing_loses_no_line(box: Box) -> None:
    """Our own logrotate file, forced again and again while cycles run: every line is there once and whole."""
    simulator = start_simulator(box, "busy-simulator", port=8091, options="--queues 200 --rate-limit 0")
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
    assert [line["cycle"] for line in cycles] == list(range(1, lines[-1]["cycles"] + 1))
    written = Counter(line["cycle"] for line in lines if line["event"] == "queue.snapshot")
    assert written == {line["cycle"]: line["snapshots"] for line in cycles}
    print(f"{len(lines)} lines over {ROTATIONS} rotations")


def test_logrotate_is_content_without_the_service(box: Box) -> None:
    """No file, no service, no error mail."""
    done = box.run("logrotate", "--force", "/etc/logrotate.d/queuetick")

    assert done.stderr == ""


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
