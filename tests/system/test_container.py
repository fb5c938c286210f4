"""The OCI image, built from an empty root and run without root's rights, and what deploy/container says of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from queuetick import __version__

from .booted import TREE, wait_for
from .conftest import required

pytestmark = pytest.mark.system
TOOLS = ("buildah", "mmdebstrap", "podman", "runc")
USER = "queuetick-rootless"
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")
"""Podman asks for more than a nested container may have."""


class Engine:
    """podman of an ordinary user, with the runtime that works on hybrid cgroups too."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.podman = [
            "podman",
            "--storage-driver=vfs",
            "--cgroup-manager=cgroupfs",
            f"--runtime={shutil.which('runc')}",
        ]

    def __call__(
        self, *arguments: str, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        environment = [f"HOME={self.home}", f"XDG_RUNTIME_DIR={self.home}/run", f"PATH={os.environ['PATH']}"]
        command = ["runuser", "-u", USER, "--", "env", "-i", *environment, *self.podman, *arguments]
        done = subprocess.run(
            command,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, done.stderr + done.stdout
        return done

    def run(self, image: str, *arguments: str, options: tuple[str, ...] = (), check: bool = True):
        fixed = ("--rm", "--read-only", "--network=none", "--log-driver=none", "--cap-drop=all", *LIMITS)
        return self("run", *fixed, *options, f"localhost/{image}:{__version__}", *arguments, check=check)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Both images, loaded by a user without root's rights."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        required(f"not installed: {', '.join(absent)}")
    archives = tmp_path_factory.mktemp("images")
    store = f"--root {archives}/store --runroot {archives}/run --storage-driver vfs"
    env = {**os.environ, "BUILDAH": f"buildah {store}", "ARCHIVE": str(archives)}
    print(
        subprocess.run(
            [TREE / "deploy/container/build"], env=env, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    )
    home = Path(f"/var/lib/{USER}")
    _remove_user(home)
    subprocess.run(["useradd", "--create-home", "--home-dir", home, USER], check=True)
    (home / "run").mkdir()
    shutil.chown(home / "run", USER, USER)
    engine = Engine(home)
    for archive in archives.glob("*.tar"):
        shutil.move(archive, home / archive.name)
        shutil.chown(home / archive.name, USER, USER)
        engine("load", "--quiet", "--input", str(home / archive.name))
    yield engine
    _remove_user(home)


def _remove_user(home: Path) -> None:
    """Also what podman keeps running for it."""
    subprocess.run(["pkill", "-KILL", "-u", USER], check=False, capture_output=True)
    subprocess.run(["userdel", "--force", USER], check=False, capture_output=True)
    shutil.rmtree(home, ignore_errors=True)


def test_the_image_runs_read_only_without_network_and_without_rights(engine: Engine) -> None:
    """The demo needs its own loopback and nothing else."""
    done = engine.run("queuetick-tools", "demo", "--cycles", "1", "--interval", "1")

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["outcome"] for line in lines if line["event"] == "cycle.completed"] == ["ok"]
    assert lines[-1]["event"] == "daemon.stopped"


def test_the_image_of_the_daemon_has_no_simulator_and_no_shell(engine: Engine) -> None:
    """A fake login server has no place on a production host."""
    done = engine.run("queuetick", "simulate", check=False)
    assert (done.returncode, "queuetick-tools" in done.stderr) == (1, True), done.stderr
    assert engine.run("queuetick", options=("--entrypoint=/bin/sh",), check=False).returncode != 0


def test_as_pid_1_it_polls_answers_probes_and_ends_at_sigterm(engine: Engine) -> None:
    """Secrets come as files, /livez and /healthz answer, SIGTERM ends it with 0, SIGKILL does not."""
    simulator = subprocess.Popen(
        [sys.executable, "-m", "queuetick", "simulate", "--queues", "12"], stdout=subprocess.PIPE, text=True
    )
    assert simulator.stdout is not None
    try:
        told = json.loads(simulator.stdout.readline())
        folder = engine.home / "set-up"
        folder.mkdir()
        for name in ("client_id", "client_secret"):
            (folder / f"genesys_{name}").write_text(told[name])
        (folder / "config.toml").write_text(
            f'[genesys]\napi_url = "{told["url"]}"\n[poll]\ninterval = 1\n[metrics]\nlisten = "127.0.0.1:19477"\n'
        )
        # The user's own files are root's within the container; root's own would be nobody's there, and be refused.
        subprocess.run(["chown", "-R", USER, folder], check=True)
        subprocess.run(["chmod", "-R", "go=rX", folder], check=True)
        name = "queuetick-test"
        engine(
            "run", "--detach", f"--name={name}", "--read-only", "--cap-drop=all", "--network=host", *LIMITS,
            f"--volume={folder}:/run/secrets/queuetick:ro", "--env=CREDENTIALS_DIRECTORY=/run/secrets/queuetick",
            f"localhost/queuetick:{__version__}", "run", "--config", "/run/secrets/queuetick/config.toml",
        )  # fmt: skip
        wait_for("healthy", lambda: status("healthz") == 200)
        assert status("livez") == 200
        assert "65532" in engine("inspect", "--format={{.Config.User}}", name).stdout

        engine("stop", "--time=10", name)

        assert engine("inspect", "--format={{.State.ExitCode}}", name).stdout.strip() == "0"
        logs = engine("logs", name).stdout.splitlines()
        assert json.loads(logs[-1])["event"] == "daemon.stopped"

        engine("start", name)
        wait_for("healthy again", lambda: status("healthz") == 200)
        engine("kill", name)
        wait_for(
            "dead", lambda: engine("inspect", "--format={{.State.Status}}", name).stdout.strip() == "exited"
        )
        assert engine("inspect", "--format={{.State.ExitCode}}", name).stdout.strip() == "137"
        engine("rm", name)
    finally:
        simulator.terminate()
        simulator.communicate(timeout=10)


def status(page: str) -> int:
    """The HTTP status of a page of the metrics port, 0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:19477/{page}", timeout=2) as answer:
            return int(answer.status)
    except OSError as error:
        return int(getattr(error, "code", 0))


@pytest.mark.parametrize(
    "command",
    [
        ("check-jsonschema", "--builtin-schema=vendor.compose-spec", "deploy/container/compose.yaml"),
        ("kubernetes-validate", "--strict", "deploy/container/kubernetes/queuetick.yaml"),
        ("actionlint", ".github/workflows/ci.yml"),
        ("actionlint", ".github/workflows/release.yml"),
        ("check-jsonschema", "--builtin-schema=vendor.dependabot", ".github/dependabot.yml"),
        ("check-jsonschema", "--builtin-schema=vendor.github-issue-forms", ".github/ISSUE_TEMPLATE/bug.yml"),
        ("check-jsonschema", "--builtin-schema=vendor.github-issue-forms", ".github/ISSUE_TEMPLATE/idea.yml"),
    ],
    ids=lambda command: command[-1],
)
def test_manifests_and_workflows_fit_their_schemas(command: tuple[str, ...]) -> None:
    tool = Path(sys.executable).parent / command[0]
    done = subprocess.run([tool, *command[1:]], cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
