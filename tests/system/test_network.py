"""What Python needs of the network is still there under the unit's hardening."""

from __future__ import annotations

from pathlib import Path

import pytest

from .booted import CONFIG, ONESHOT, UNIT, Box, configure, wait_for

pytestmark = pytest.mark.system

NETSTUB = Path(__file__).with_name("netstub.py")


def test_a_proxy_is_found_through_dns_and_asked_for_the_region_host(box: Box) -> None:
    """The real daemon, a region of the SDK's table, HTTPS_PROXY with a name that only a DNS server knows."""
    box.write("/run/netstub.py", NETSTUB.read_text())
    box.run("cp", "-L", "/etc/resolv.conf", "/run/resolv.conf.before")
    box.run("systemd-run", "--quiet", "--unit=netstub", "/usr/bin/python3", "-u", "/run/netstub.py")
    box.sh("umount /etc/resolv.conf 2>/dev/null || true; rm -f /etc/resolv.conf")
    box.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    configure(box, '[genesys]\nregion = "eu-west-1"\n')
    proxy = "[Service]\nEnvironment=HTTPS_PROXY=http://proxy.netstub.test:3128\n"
    box.write(f"/run/systemd/system/{UNIT}.d/proxy.conf", proxy)
    box.run("systemctl", "daemon-reload")
    since = box.now()
    try:
        box.run("systemctl", "start", "--no-block", UNIT)

        asked = wait_for(
            "the proxy is asked",
            lambda: [
                entry["MESSAGE"]
                for entry in box.journal(since, "_SYSTEMD_UNIT=netstub.service")
                if entry["MESSAGE"].startswith("CONNECT")
            ],
        )
        assert asked[0].startswith("CONNECT login.mypurecloud.ie:443 ")
        # and a refusal by the proxy is an outage like any other
        box.wait_event(since, "api.lost")
        box.wait_state(UNIT, "active")
    finally:
        box.run("systemctl", "stop", "netstub")
        box.run("cp", "/run/resolv.conf.before", "/etc/resolv.conf")


def test_metrics_can_be_scraped(box: Box) -> None:
    """The service may listen, and read about its own process."""
    configure(box, CONFIG + '[metrics]\nlisten = "127.0.0.1:9477"\n')
    since = box.now()
    box.run("systemctl", "start", UNIT)
    box.wait_event(since, "cycle.completed")

    assert "queuetick_" in box.out("curl", "--silent", "--fail", "http://127.0.0.1:9477/metrics")


def test_writable_and_executable_memory_is_refused(box: Box) -> None:
    """MemoryDenyWriteExecute is in force for the very interpreter that runs the daemon."""
    probe = "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)"
    box.write(
        f"/run/systemd/system/{UNIT}.d/probe.conf",
        f"{ONESHOT}ExecStart=/usr/bin/python3 -c '{probe}'\n",
    )
    box.run("systemctl", "daemon-reload")
    since = box.now()

    box.run("systemctl", "start", UNIT, check=False)

    told = [entry["MESSAGE"] for entry in box.journal(since, f"_SYSTEMD_UNIT={UNIT}")]
    assert any("PermissionError" in line for line in told), told
