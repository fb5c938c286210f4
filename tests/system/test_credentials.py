"""Who can read the secret: the service, root, and nobody else."""

from __future__ import annotations

import pytest

from .booted import CREDENTIALS, TREE, UNIT, Box

pytestmark = pytest.mark.system

IN_THE_SERVICE = "/run/credentials/queuetick.service/genesys_client_secret"


@pytest.mark.parametrize("path", [f"{CREDENTIALS}/genesys_client_secret", IN_THE_SERVICE])
def test_another_user_cannot_read_them(box: Box, path: str) -> None:
    """Neither the file the administrator wrote nor the copy that systemd hands over."""
    box.run("systemctl", "start", UNIT)
    assert box.read(path).strip() == box.simulator["client_secret"]

    done = box.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "cat", path, check=False)

    assert done.returncode != 0
    assert "Permission denied" in done.stderr


def test_the_secret_is_in_no_environment_and_on_no_command_line(box: Box) -> None:
    """Not of the daemon, not of anything else, and not in what systemd tells about the unit."""
    box.run("systemctl", "start", UNIT)
    secret = box.simulator["client_secret"]
    pid = box.show(UNIT, "MainPID")

    assert "CREDENTIALS_DIRECTORY=" in box.read(f"/proc/{pid}/environ")
    assert secret not in box.read(f"/proc/{pid}/environ")
    assert secret not in box.out("systemctl", "show", UNIT)
    assert secret not in box.out("ps", "-eo", "args", "eww")


def test_the_secret_is_not_in_the_journal(box: Box) -> None:
    """daemon.started shows the configuration in force, with the secrets masked."""
    since = box.now()
    box.run("systemctl", "start", UNIT)
    box.wait_event(since, "cycle.completed")
    box.run("systemctl", "stop", UNIT)

    told = "\n".join(entry["MESSAGE"] for entry in box.journal(since))

    assert "daemon.started" in told
    assert box.simulator["client_secret"] not in told


def test_check_takes_them_from_the_same_place(box: Box) -> None:
    """An administrator tests the set-up before the service is started, with the command of operations.md."""
    command = f"CREDENTIALS_DIRECTORY={CREDENTIALS} queuetick check --config /etc/queuetick/config.toml"
    assert command in (TREE / "docs" / "operations.md").read_text(encoding="utf-8")

    assert box.sh(command, check=False).returncode == 0

    box.write(f"{CREDENTIALS}/genesys_client_secret", "not-the-secret\n", "600")
    assert box.sh(command, check=False).returncode == 77


def test_credentials_can_be_encrypted(box: Box) -> None:
    """The commands of operations.md: the plain files are gone, and the service starts all the same."""
    box.sh(
        f"""
        cd {CREDENTIALS}
        systemd-creds setup
        for name in genesys_client_id genesys_client_secret; do
            systemd-creds encrypt --name=$name $name $name.cred
            rm $name
        done
        """
    )
    box.write(
        f"/etc/systemd/system/{UNIT}.d/encrypted.conf",
        "[Service]\n"
        "LoadCredential=\n"
        f"LoadCredentialEncrypted=genesys_client_id:{CREDENTIALS}/genesys_client_id.cred\n"
        f"LoadCredentialEncrypted=genesys_client_secret:{CREDENTIALS}/genesys_client_secret.cred\n",
    )
    box.run("systemctl", "daemon-reload")

    since = box.now()
    box.run("systemctl", "start", UNIT)

    assert box.wait_event(since, "cycle.completed")["outcome"] == "ok"
    assert box.simulator["client_secret"] not in box.sh(f"cat {CREDENTIALS}/*").stdout

    checked = box.run("queuetick", "check", "--unit", "queuetick")
    assert "genesys_client_secret.cred (LoadCredentialEncrypted)" in checked.stdout
    assert box.simulator["client_secret"] not in checked.stdout


def test_check_unit_takes_them_as_the_unit_does_and_tells_who_may_not(box: Box) -> None:
    done = box.run("queuetick", "check", "--unit", "queuetick")
    assert f"{CREDENTIALS}/genesys_client_secret (LoadCredential): sets GENESYS_CLIENT_SECRET" in done.stdout

    nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    done = box.run(*nobody, "queuetick", "check", "--unit", "queuetick", check=False)
    assert done.returncode == 1
    assert "run it as root" in done.stdout
