"""docs/high-availability.md, run: two daemons poll the same queues, and one key removes the doubles."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from support.processes import DaemonProcess, SimulatorProcess

INTERVAL = 1
PAGE = (Path(__file__).parents[2] / "docs" / "high-availability.md").read_text()
CONFIG = f"[genesys]\norg = 'emea'\n[poll]\ninterval = {INTERVAL}\n"


def test_a_hot_pair_leaves_no_gap_and_its_key_names_each_observation_once(tmp_path: Path) -> None:
    """One of the pair is killed: after the recipe the merged lines have each queue of each tick exactly once."""
    if shutil.which("jq") is None:
        pytest.fail("jq is not installed: apt-get install jq")
    for name in ("simulator", "a", "b"):
        (tmp_path / name).mkdir()
    with SimulatorProcess("--queues", "5", "--rate-limit", "0", home=tmp_path / "simulator") as simulator:
        pair = [
            DaemonProcess(CONFIG, environment=simulator.environment, directory=tmp_path / name)
            for name in ("a", "b")
        ]
        with pair[0] as first, pair[1] as second:
            first.await_event("cycle.completed", 3)
            second.await_event("cycle.completed", 3)
            first.stop(signal.SIGKILL)
            seen = len(second.events("cycle.completed"))
            second.await_event("cycle.completed", seen + 3)
            second.stop()
    lines = [[line for line in daemon.lines if line["event"] == "queue.snapshot"] for daemon in pair]
    keys = [{(line["queue_id"], line["scheduled_at"]) for line in each} for each in lines]
    assert keys[0] & keys[1], "both polled the same ticks"

    [recipe] = re.findall(r"`jq -cs '(unique_by[^']+)' a\.jsonl b\.jsonl`", PAGE)
    text = "\n".join(json.dumps(line) for each in lines for line in each)
    done = subprocess.run(["jq", "-cs", recipe], input=text, capture_output=True, text=True, check=True)
    merged = [json.loads(line) for line in done.stdout.splitlines()]

    found = [(line["queue_id"], line["scheduled_at"]) for line in merged]
    assert len(found) == len(set(found))
    assert set(found) == keys[0] | keys[1]
    ticks = sorted({tick for _, tick in found})
    queues = {queue for queue, _ in found}
    assert len(found) == len(ticks) * len(queues), "no queue of any tick is missing"
    seconds = [int(tick[17:19]) + 60 * int(tick[14:16]) for tick in ticks]
    assert all((later - earlier) % 3600 == INTERVAL for earlier, later in pairwise(seconds))
