"""The ways onto a machine and off it again: make install, and the package."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .booted import CONFIG, CREDENTIALS, TREE, UNIT, Box, configure, pip_offline, start_simulator
from .conftest import required

pytestmark = pytest.mark.system

TO_FILE = CONFIG + '[output]\npath = "/var/log/queuetick-emea/queuetick.jsonl"\n'


def in_box(path: Path) -> str:
    """The same file as the box sees it."""
    return f"/srv/queuetick/{path.relative_to(TREE)}"


def make(box: Box, wheels: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    pip = [f"{name}={value}" for name, value in pip_offline(in_box(wheels)).items()]
    return box.run("env", *pip, "make", "--silent", "-C", "/srv/queuetick", *arguments, check=check)


def credential_modes(box: Box) -> set[str]:
    return set(box.out("find", CREDENTIALS, "-printf", "%y %m %u\\n").splitlines())


def test_make_install_upgrade_uninstall(boot: Callable[[str], Box], wheels: Path, wheel: Path) -> None:
    """One command installs and upgrades, another takes it all away, and no configuration is lost."""
    box = boot("install")

    # installs, says what it does, and starts nothing
    said = make(box, wheels, "install").stdout
    assert "queuetick: installed /opt/queuetick (queuetick " in said
    assert f"queuetick: created {CREDENTIALS}/genesys_client_secret (empty: write yours into it)" in said
    assert "systemctl enable --now queuetick" in said
    assert credential_modes(box) == {"d 700 root", "f 600 root"}
    assert "queuetick check" in box.out("man", "-l", "/usr/local/share/man/man1/queuetick.1")
    assert box.show(UNIT, "ActiveState") == "inactive"
    assert box.run("systemctl", "is-enabled", UNIT, check=False).stdout.strip() == "disabled"
    assert box.run("grep", "-rl", "/opt/.queuetick.new", "/opt/queuetick/bin", check=False).stdout == ""

    # runs
    box.simulator = start_simulator(box)
    configure(box)
    since = box.now()
    box.run("systemctl", "enable", "--now", UNIT)
    assert box.wait_event(since, "cycle.completed")["outcome"] == "ok"
    first = box.show(UNIT, "MainPID")

    # an upgrade that fails leaves the old version running
    box.write("/srv/broken.whl", "not a wheel")
    assert make(box, wheels, "install", "FROM=/srv/broken.whl", check=False).returncode != 0
    assert (box.show(UNIT, "MainPID"), box.show(UNIT, "ActiveState")) == (first, "active")
    assert box.out("ls", "-A", "/opt").split().count("queuetick") == 1
    assert ".queuetick" not in box.out("ls", "-A", "/opt")

    # an upgrade, from a wheel this time, restarts what runs and keeps what is the administrator's
    said = make(box, wheels, "install", f"FROM={in_box(wheel)}").stdout
    assert f"queuetick: restarting {UNIT}" in said
    assert "queuetick: kept /etc/queuetick/config.toml" in said
    assert "to do next, as root" not in said
    assert box.read("/etc/queuetick/config.toml") == CONFIG
    assert "queuetick: created" not in said
    assert (box.show(UNIT, "ActiveState"), box.show(UNIT, "MainPID") != first) == ("active", True)

    # off again: the configuration stays, and goes when told so
    said = make(box, wheels, "uninstall").stdout
    assert f"queuetick: stopping {UNIT}" in said
    assert box.read("/etc/queuetick/config.toml") == CONFIG
    assert box.show(UNIT, "LoadState") == "not-found"
    said = make(box, wheels, "uninstall", "PURGE=yes").stdout
    assert "queuetick: removed /etc/queuetick" in said
    assert remains(box) == ""
    assert make(box, wheels, "uninstall", "PURGE=yes").stdout == ""


def remains(box: Box) -> str:
    """What is left of us on the file system: nothing, after a purge."""
    return box.sh("find /etc /opt /usr /var/lib /var/log -xdev -name '*queuetick*'").stdout


def newer(box: Box, deb: str) -> str:
    """The same package once more, as a later version that ships another config.toml."""
    box.sh(
        f"""
        rm -rf /root/next && dpkg-deb -R {deb} /root/next
        sed -i 's/^Version: .*/&+next/' /root/next/DEBIAN/control
        echo '# a new default' >> /root/next/etc/queuetick/config.toml
        dpkg-deb -Znone -b /root/next /root/next.deb
        """
    )
    return "/root/next.deb"


def test_package_install_upgrade_purge(boot: Callable[[str], Box], debs: list[Path]) -> None:
    """The .deb does what Debian's own do."""
    box = boot("package")
    path, tools = map(in_box, debs)

    # installs, starts nothing, is to be configured
    said = box.run("dpkg", "--install", path).stdout
    assert "to do next, as root" in said
    assert box.show(UNIT, "ActiveState") == "inactive"
    assert credential_modes(box) == {"d 700 root", "f 600 root"}
    assert box.run("dpkg", "--verify", "queuetick").stdout == ""

    # no simulator, no viewer: they are a package of their own, which the commands name
    for command in ("simulate", "watch", "tail", "demo"):
        done = box.run("queuetick", command, check=False)
        assert (done.returncode, "queuetick-tools" in done.stderr) == (1, True), done
    box.run("dpkg", "--install", tools)

    # runs
    box.simulator = start_simulator(box)
    configure(box)
    configure(box, TO_FILE, org="emea")
    since = box.now()
    box.run("systemctl", "enable", "--now", UNIT, "queuetick@emea")
    assert box.wait_event(since, "cycle.completed")["outcome"] == "ok"
    before = [box.show(unit, "MainPID") for unit in (UNIT, "queuetick@emea")]

    # an upgrade restarts both and loses nothing
    box.run("dpkg", "--purge", "queuetick-tools")  # it follows its own version of queuetick
    box.run("dpkg", "--force-confold", "--install", newer(box, path))
    assert box.read("/etc/queuetick/config.toml") == CONFIG
    assert box.read(f"{CREDENTIALS}/genesys_client_secret").strip() == box.simulator["client_secret"]
    assert re.search(r"\+next", box.out("dpkg-query", "-W", "queuetick"))
    after = [box.show(unit, "MainPID") for unit in (UNIT, "queuetick@emea")]
    assert all(old != new != "0" for old, new in zip(before, after, strict=True)), (before, after)

    # removed: configuration and logs stay; purged: nothing does
    box.run("dpkg", "--remove", "queuetick")
    assert box.show(UNIT, "ActiveState") == "inactive"
    assert box.read("/etc/queuetick/config.toml") == CONFIG
    assert box.exists("/var/log/queuetick-emea/queuetick.jsonl")
    box.run("dpkg", "--purge", "queuetick")
    left = set(remains(box).split())
    assert left == {"/etc/queuetick"}, left  # with what the administrator made
    assert sorted(box.out("find", "/etc/queuetick", "-type", "f").split()) == [
        "/etc/queuetick/credentials/emea/genesys_client_id",
        "/etc/queuetick/credentials/emea/genesys_client_secret",
        "/etc/queuetick/emea.toml",
    ]


def test_an_upgrade_leaves_credentials_that_are_kept_elsewhere_alone(
    boot: Callable[[str], Box], debs: list[Path]
) -> None:
    """Encrypted credentials survive: no empty plain files come back, no steps of a first installation are printed."""
    box = boot("encrypted")
    box.run("dpkg", "--install", *map(in_box, debs))
    box.simulator = start_simulator(box)
    configure(box)
    box.sh(
        f"""
        systemd-creds setup >/dev/null 2>&1 || true
        mkdir -p /etc/credstore.encrypted /etc/systemd/system/{UNIT}.d
        for name in client_id client_secret; do
            systemd-creds --with-key=host --name=genesys_$name encrypt {CREDENTIALS}/genesys_$name \
                /etc/credstore.encrypted/genesys_$name
        done
        rm -r {CREDENTIALS}
        dropin=/etc/systemd/system/{UNIT}.d/credentials.conf
        printf '[Service]\\nLoadCredential=\\n' > $dropin
        for name in client_id client_secret; do
            echo "LoadCredentialEncrypted=genesys_$name:/etc/credstore.encrypted/genesys_$name" >> $dropin
        done
        systemctl daemon-reload
        """
    )
    since = box.now()
    box.run("systemctl", "start", UNIT)
    assert box.wait_event(since, "cycle.completed")["outcome"] == "ok"
    checked = box.run("queuetick", "check", "--unit", "queuetick", check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr

    box.run("dpkg", "--purge", "queuetick-tools")
    said = box.run("dpkg", "--force-confold", "--install", newer(box, in_box(debs[0]))).stdout

    assert "to do next, as root" not in said
    assert not box.exists(CREDENTIALS)
    assert box.show(UNIT, "ActiveState") == "active"


def test_package_refuses_to_mix_with_make_install(boot: Callable[[str], Box], deb: Path) -> None:
    """Two installations in one place would break both."""
    box = boot("mixed")
    box.write("/usr/local/lib/systemd/system/queuetick.service", "")

    done = box.run("dpkg", "--install", in_box(deb), check=False)

    assert done.returncode != 0
    assert "make uninstall" in done.stderr


def test_the_box_leaves_nothing_behind(boot: Callable[[str], Box]) -> None:
    """No mount, no process, no cgroup, no file."""
    box = boot("gone")
    name = Path(f"/proc/{(box.directory / 'leader').read_text().strip()}/cgroup").read_text()
    leader = int((box.directory / "leader").read_text())

    box.stop()

    assert "sdbox" in name
    assert not Path(f"/proc/{leader}").exists()
    assert not box.directory.exists()
    assert "sdbox-gone" not in Path("/proc/mounts").read_text()
    assert [path for path in Path("/sys/fs/cgroup").glob("**/sdbox*") if path.name in name] == []


@pytest.mark.parametrize(
    ("suite", "release"), [("trixie", "debian 13"), ("noble", "ubuntu 24.04"), ("forky", "debian ")]
)
def test_the_same_package_runs_on_other_releases(
    suite: str, release: str, debs: list[Path], boot_root: Callable[[Path], Box]
) -> None:
    """One .deb for every Python (3.13, 3.12, 3.14): installed, started, upgraded and purged on another release."""
    made = subprocess.run(
        [TREE / "release" / "rootfs", suite], stdout=subprocess.PIPE, text=True, check=False
    )
    if made.returncode:
        (pytest.skip if suite == "noble" else required)(f"no root file system of {suite} can be made here")
    root = Path(made.stdout.strip())
    box = boot_root(root)
    system = box.sh('. /etc/os-release; echo "$ID ${VERSION_ID:-}"').stdout
    assert system.startswith(release)
    box.run("dpkg", "--install", *map(in_box, debs))
    box.simulator = start_simulator(box)
    configure(box)
    since = box.now()
    box.run("systemctl", "enable", "--now", UNIT)
    assert box.wait_event(since, "cycle.completed")["outcome"] == "ok"
    before = box.show(UNIT, "MainPID")

    box.run("dpkg", "--purge", "queuetick-tools")
    box.run("dpkg", "--force-confold", "--install", newer(box, in_box(debs[0])))
    assert box.show(UNIT, "MainPID") not in (before, "0")

    box.run("dpkg", "--purge", "queuetick")
    assert remains(box) == ""
