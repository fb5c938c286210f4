"""The unit files: what systemd itself thinks of them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from .booted import TREE, Box

UNITS = TREE / "deploy" / "systemd"
MOST_EXPOSED = 1.5


def settings(name: str) -> list[str]:
    lines = (UNITS / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_template_is_the_service_with_the_organisation_in_its_paths() -> None:
    """What is hardened, limited or restarted in one is so in the other."""
    expected = [
        line.replace("JSON lines", "JSON lines (%i)")
        .replace("/etc/queuetick/config.toml", "/etc/queuetick/%i.toml")
        .replace("/etc/queuetick/credentials/", "/etc/queuetick/credentials/%i/")
        .replace("User=queuetick", "User=queuetick-%i")
        .replace("LogsDirectory=queuetick", "LogsDirectory=queuetick-%i")
        .replace("SyslogIdentifier=queuetick", "SyslogIdentifier=queuetick-%i")
        for line in settings("queuetick.service")
    ]

    assert expected == [line for line in settings("queuetick@.service") if "QUEUETICK_ORG" not in line]
    assert "Environment=QUEUETICK_ORG=%i" in settings("queuetick@.service")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", ["queuetick.service", "queuetick@.service"])
def test_exposure_is_at_most_one_and_a_half(unit: str) -> None:
    """`systemd-analyze security` scores the file as it is shipped; the threshold is ten times the score."""
    analyze = ["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold"]
    threshold = f"{MOST_EXPOSED * 10:.0f}"
    done = subprocess.run([*analyze, threshold, UNITS / unit], capture_output=True, text=True, check=False)
    print(done.stdout.splitlines()[-1])

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.system
@pytest.mark.parametrize("unit", ["queuetick.service", "queuetick@emea.service"])
def test_verify_is_clean(box: Box, unit: str) -> None:
    """No unknown key, no bad value, no missing program, not one warning."""
    done = box.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", unit, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.system
@pytest.mark.parametrize("unit", ["queuetick.service", "queuetick@emea.service"])
def test_the_running_service_is_as_little_exposed_as_its_file(box: Box, unit: str) -> None:
    """Measured by systemd on the loaded unit; the score is in the test's output."""
    score = box.out("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
    print(score)

    assert float(score.split(":")[1].split()[0]) <= MOST_EXPOSED
