"""The commands as processes, with what a stranger, a clipboard or a file system may do to their configuration."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

QUEUETICK = [sys.executable, "-m", "queuetick"]


def check(directory: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*QUEUETICK, "check", *arguments],
        check=False,
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTPS_PROXY": "http://h:abc"},
        {"HTTPS_PROXY": "http://h:99999"},
        {"HTTPS_PROXY": "http://[::1"},
        {"HTTPS_PROXY": "socks5h://h:1"},
        {"HTTPS_PROXY": "http://me:pa/55word@h:1"},
        {"HTTPS_PROXY": "http://me:pa\u20ac55word@h:1"},
        {"GENESYS_REGION": "mypurecloud.ie"},
        {"GENESYS_CLIENT_SECRET": "\u200bpa55word"},
        {"GENESYS_CLIENT_SECRET": "'pa55word'"},
        {"GENESYS_CLIENT_ID": "\udcffpa55word"},
        {"QUEUETICK_ORG": "\udcff"},
        {"GENESYS_LOGIN_URL": "https://\udcff"},
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_variable_that_is_wrong_is_exit_78_without_a_traceback_and_without_a_secret(
    command, environ, environment, tmp_path
) -> None:
    given = {**environment, "GENESYS_CLIENT_ID": "an-id", "GENESYS_CLIENT_SECRET": "a-secret", **environ}
    done = subprocess.run(
        [*QUEUETICK, command], cwd=tmp_path, env=given, capture_output=True, timeout=60, check=False
    )
    told = (done.stdout + done.stderr).decode()
    assert 78 == done.returncode, told
    assert "Traceback" not in told
    assert "55word" not in told
    assert next(iter(environ)) in told or "genesys." in told


def test_a_strangers_dotenv_takes_no_secret_away(environment, tmp_path) -> None:
    """Root's documented check, in a directory where somebody has left a `.env`."""
    stranger = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{stranger.getsockname()[1]}"
    etc, given = tmp_path / "etc", tmp_path / "given"
    for directory in (etc, given):
        directory.mkdir()
    (etc / "config.toml").write_text('[genesys]\napi_url = "http://127.0.0.1:1"\n')
    for name in ("client_id", "client_secret"):
        (given / f"genesys_{name}").write_text(f"{name}-of-the-unit\n")
    (tmp_path / ".env").write_text(f"GENESYS_API_URL={url}\nGENESYS_LOGIN_URL={url}\nHTTPS_PROXY={url}\n")
    config = ("--config", str(etc / "config.toml"))
    secrets = {"GENESYS_CLIENT_ID": "an-id", "GENESYS_CLIENT_SECRET": "a-secret"}
    for environ, arguments in (
        ({"CREDENTIALS_DIRECTORY": str(given)}, config),
        ({"CREDENTIALS_DIRECTORY": str(given), "GENESYS_API_URL": "http://127.0.0.1:1"}, ()),
        (secrets, config),
        (secrets, ()),
        ({**secrets, "GENESYS_API_URL": "http://127.0.0.1:1"}, ()),
    ):
        check(tmp_path, {**environment, **environ}, *arguments)
    with stranger, pytest.raises(BlockingIOError):
        stranger.settimeout(0)
        stranger.accept()


def test_a_fifo_for_a_source_ends_at_once(environment, tmp_path) -> None:
    secrets = {"GENESYS_CLIENT_ID": "an-id", "GENESYS_CLIENT_SECRET": "a-secret"}
    for name in ("config.toml", ".env"):
        os.mkfifo(tmp_path / name)
        began = time.monotonic()
        done = check(tmp_path, {**environment, **secrets}, "--offline")
        assert (78, True) == (done.returncode, "it is a FIFO" in done.stdout + done.stderr)
        assert time.monotonic() - began < 30
        (tmp_path / name).unlink()


def test_a_configuration_that_is_gone_or_a_fifo_at_the_reload_stays_in_force(credentials, tmp_path) -> None:
    """The daemon goes on with what it has, answers every further SIGHUP, and ends on SIGTERM."""
    file = tmp_path / "config.toml"
    file.write_text('[poll]\ninterval = 1\n[output]\npath = "lines.jsonl"\n')
    lines = tmp_path / "lines.jsonl"

    def until(text: str, times: int) -> None:
        deadline = time.monotonic() + 30
        while not lines.exists() or lines.read_text().count(text) < times:
            assert time.monotonic() < deadline, lines.read_text() if lines.exists() else "no line"
            time.sleep(0.05)

    daemon = subprocess.Popen([*QUEUETICK, "run"], cwd=tmp_path, env=credentials)
    try:
        until('"cycle.completed"', 1)
        file.rename(tmp_path / "kept")
        daemon.send_signal(signal.SIGHUP)
        until('"config.rejected"', 1)
        os.mkfifo(file)
        daemon.send_signal(signal.SIGHUP)
        until('"config.rejected"', 2)
        file.unlink()
        (tmp_path / "kept").rename(file)
        daemon.send_signal(signal.SIGHUP)
        until('"config.reloaded"', 1)
        daemon.send_signal(signal.SIGTERM)
        assert 0 == daemon.wait(15)
    finally:
        daemon.kill()
    told = lines.read_text()
    assert "was read before and is gone" in told
    assert "it is a FIFO" in told
