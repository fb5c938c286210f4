"""docs/high-availability.md, run: strict standby by Pacemaker on two booted machines of a private network."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .booted import TREE, UNIT, Box, configure, start_simulator, wait_for
from .conftest import required

pytestmark = pytest.mark.system
NETWORK = "queuetick-ha"
CLUSTER = TREE / "deploy" / "pacemaker"
TAKE_OVER = 30.0
"""Seconds within which the standby polls after the active machine is switched off (the promise of the page)."""


@pytest.fixture
def pair(systemd: None, debs: list[Path]) -> Iterator[list[Box]]:
    """Machines 10.77.0.1 and 10.77.0.2, each with queuetick, a simulator of its own and a running cluster."""
    absent = [tool for tool in ("corosync", "pacemakerd", "ip") if shutil.which(tool) is None]
    if absent:
        required(f"not installed: {', '.join(absent)} (apt-get install pacemaker corosync iproute2)")
    within = ["ip", "netns", "exec", NETWORK, "ip", "link"]
    subprocess.run(["ip", "netns", "del", NETWORK], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "add", NETWORK], check=True)
    subprocess.run([*within, "add", "br0", "type", "bridge"], check=True)
    subprocess.run([*within, "set", "br0", "up"], check=True)
    boxes = []
    try:
        for number in (1, 2):
            box = Box(Path(f"/run/sdbox-{NETWORK}-{number}"), f"/run/netns/{NETWORK}")
            boxes.append(box)
            box.start(f"--bind-ro={TREE}:/srv/queuetick", "--network-bridge=br0")
            box.sh(
                f"hostname node{number}; ip addr add 10.77.0.{number}/24 dev host0; ip link set host0 up;"
                "cp /srv/queuetick/deploy/pacemaker/corosync.conf /etc/corosync/corosync.conf"
            )
            box.run("dpkg", "--install", *(f"/srv/queuetick/{deb.relative_to(TREE)}" for deb in debs))
            box.simulator = start_simulator(box)
            configure(box)
            box.run("systemctl", "start", "corosync", "pacemaker")
        yield boxes
    finally:
        for box in boxes:
            box.stop()
        subprocess.run(["ip", "netns", "del", NETWORK], check=False)


def online(box: Box) -> int:
    """How many nodes of the cluster `box` sees."""
    return len(box.run("crm_node", "--partition", check=False).stdout.split())


def test_the_standby_polls_within_30_seconds_after_the_active_machine_is_switched_off(
    pair: list[Box],
) -> None:
    """Exactly one of the two polls at any time, with the unit as it is shipped."""
    first, second = pair
    wait_for("both nodes online", lambda: online(first) == 2 and online(second) == 2, 60)
    since = first.now()
    first.run("sh", "-eu", "/srv/queuetick/deploy/pacemaker/set-up", "--without-fencing")

    active = wait_for(
        "one of them polls",
        lambda: next((box for box in pair if box.events(since, "cycle.completed")), None),
        60,
    )
    standby = second if active is first else first
    assert standby.show(UNIT, "ActiveState") == "inactive"
    assert standby.events(since, "daemon.started") == []

    switched_off = time.monotonic()
    active.power_off()
    line = wait_for("the standby polls", lambda: standby.events(since, "cycle.completed"), 60)[0]
    took = time.monotonic() - switched_off

    print(f"took over in {took:.1f} s")
    assert line["outcome"] == "ok"
    assert took < TAKE_OVER
