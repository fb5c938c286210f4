"""Files on a file system that does not answer, each as a source, an output or an input: a real mount, as root."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hung_mount import hung_mount, waits_in_the_kernel
from support.processes import QUEUETICK, DaemonProcess, clean_environment, until
from support.simulators import access_to, busy

from .conftest import required

pytestmark = pytest.mark.system

RUN = "run", "once", "check", "queues"
SETTINGS = {
    "a CA bundle": ("genesys.ca_bundle", "[genesys]\nca_bundle = '{}/ca.pem'\n"),
    "the output": ("output.path", "[output]\npath = '{}/lines'\n"),
    "a certificate": (
        "metrics.tls_cert or metrics.tls_key",
        "[metrics]\nlisten = '127.0.0.1:0'\ntls_cert = '{0}/c.pem'\ntls_key = '{0}/k.pem'\n",
    ),
}


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "hung"
    place.mkdir()
    try:
        mount = hung_mount(place)
        mount.__enter__()
    except OSError as error:
        required(f"no FUSE file system can be mounted here: {error.strerror}")
    yield place
    mount.__exit__(None, None, None)


class Started:
    """A command in a directory of its own; `until_end` is its exit code and stderr, and how long it took."""

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [*QUEUETICK, *arguments],
            cwd=directory,
            env={**clean_environment(directory), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if arguments[0] != "check" else subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def until_end(self, number: int | None = None) -> tuple[int, str, float]:
        if number is not None:
            until(lambda: waits_in_the_kernel(self.process.pid), 20)
            self.began = time.monotonic()
            self.process.send_signal(number)
        try:
            out, err = self.process.communicate(timeout=40)
        finally:
            self.process.kill()
        return self.process.returncode, ((out or b"") + err).decode(), time.monotonic() - self.began


LOGIN = {"GENESYS_CLIENT_ID": "some-client", "GENESYS_CLIENT_SECRET": "some-secret"}


def sources(hung: Path, directory: Path) -> dict[str, tuple[str, list[str], dict[str, str]]]:
    """What hangs -> its name in the message, arguments and environment; the present directory is prepared for it."""
    (directory / ".env").symlink_to(hung / ".env")
    return {
        "--config": ("config.toml", ["--config", str(hung / "config.toml")], LOGIN),
        ".env": (".env", [], LOGIN),
        "credentials": ("genesys_client_id", [], {"CREDENTIALS_DIRECTORY": str(hung)}),
    }


@pytest.mark.parametrize("command", RUN)
@pytest.mark.parametrize("source", ["--config", ".env", "credentials"])
def test_a_source_that_does_not_answer_is_named_after_ten_seconds(command, source, hung, tmp_path) -> None:
    name, arguments, environment = sources(hung, tmp_path)[source]
    code, said, took = Started(tmp_path, command, *arguments, **environment).until_end()
    assert code == 78
    assert name in said
    assert "was not read within 10 s" in said
    assert took < 25


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_file_that_a_setting_names_and_that_does_not_answer_is_named_by_its_setting(
    setting, hung, tmp_path
) -> None:
    name, text = SETTINGS[setting]
    (tmp_path / "config.toml").write_text(text.format(hung))
    code, said, _ = Started(tmp_path, "run", **LOGIN).until_end()
    assert code == 78
    assert f"{name} was not read within 10 s" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "command",
    [
        *([name, "--config", "{}/config.toml"] for name in RUN),
        ["watch", "{}/lines"],
        ["watch", "--once", "{}/lines"],
        ["tail", "{}/lines"],
        ["simulate", "--env", "{}/.env"],
    ],
    ids=" ".join,
)
def test_a_signal_ends_every_command_that_waits_for_such_a_file(command, number, hung, tmp_path) -> None:
    started = Started(tmp_path, *[part.format(hung) for part in command], **LOGIN)
    _, said, took = started.until_end(number)
    assert took < 6
    assert "Traceback" not in said


def test_a_reload_from_such_a_file_is_rejected_and_later_ones_are_obeyed(hung, tmp_path) -> None:
    with busy() as simulator:
        environment = {**clean_environment(tmp_path), **access_to(simulator)}
        with DaemonProcess("[poll]\ninterval = 1\n", environment=environment, directory=tmp_path) as daemon:
            daemon.await_event("cycle.completed")
            config = tmp_path / "config.toml"
            config.rename(tmp_path / "good.toml")
            config.symlink_to(hung / "config.toml")
            daemon.process.send_signal(signal.SIGHUP)
            rejected = daemon.await_event("config.rejected", 1, 30)
            assert "was not read within 10 s" in rejected["problems"][0]["problem"]
            config.unlink()
            (tmp_path / "good.toml").rename(config)
            config.write_text("[poll]\ninterval = 2\n")
            daemon.process.send_signal(signal.SIGHUP)
            assert daemon.await_event("config.reloaded", 1, 30)["changed"] == ["poll.interval"]
            assert daemon.stop() < 10
