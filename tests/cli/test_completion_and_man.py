"""Tab completion and the manual page are made of the parser: what a shell and man(1) show of them."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from queuetick.cli.main import COMMANDS

RELEASE = Path(__file__).parents[2] / "release"


@pytest.fixture(scope="module")
def completions(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("completions")
    subprocess.run([sys.executable, RELEASE / "completions.py", directory], check=True)
    return directory


class Bash:
    """An interactive bash on a terminal of its own, in a directory with one file."""

    def __init__(self, directory: Path) -> None:
        self._terminal, side = pty.openpty()
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            env={"PATH": os.environ["PATH"], "PS1": "READY>", "TERM": "dumb"},
            cwd=directory,
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
        )
        os.close(side)
        self.until("READY>")

    def until(self, words: str) -> str:
        seen = ""
        while words not in seen:
            assert select.select([self._terminal], [], [], 10)[0], f"no {words!r} in {seen!r}"
            seen += os.read(self._terminal, 4096).decode()
        return seen

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)


@pytest.fixture
def bash(completions, tmp_path):
    (tmp_path / "mine.toml").touch()
    running = Bash(tmp_path)
    running.type(f"source {completions}/queuetick.bash\n")
    running.until("READY>")
    yield running
    running.end()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("queuetick sche", "schema"),
        ("queuetick check --off", "--offline"),
        ("queuetick queues --div", "--division"),
        ("queuetick run --config mi", "mine.toml"),
        ("queuetick watch mi", "mine.toml"),
    ],
)
def test_a_tab_in_bash_completes_commands_options_and_files(typed, completed, bash) -> None:
    bash.type(f"{typed}\t")
    assert completed.startswith(typed.rsplit(" ", 1)[1])
    bash.until(completed)


def test_two_tabs_in_bash_list_every_command(bash) -> None:
    bash.type("queuetick \t\t")
    seen = bash.until("READY>")
    assert set(COMMANDS) <= set(re.findall(r"[a-z]+", seen))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_reads_its_file(shell, completions) -> None:
    file = completions / f"queuetick.{shell}"
    assert all(command in file.read_text() for command in COMMANDS)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", file], check=True)


def test_man_shows_every_command_option_and_exit_code_without_a_warning(tmp_path) -> None:
    source = subprocess.run([sys.executable, RELEASE / "manpage.py"], check=True, capture_output=True).stdout
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    page = tmp_path / "queuetick.1"
    page.write_bytes(source)
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", page],
        env={"PATH": os.environ["PATH"], "MANWIDTH": "100", "LC_ALL": "C.UTF-8", "MANROFFOPT": "-rHY=0"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    shown = re.sub(r".\x08", "", done.stdout).replace("\u2010", "-")
    for name in COMMANDS:
        assert f"queuetick {name}" in shown
    for words in (
        "--config FILE",
        "--offline",
        "77  credentials",
        "GENESYS_CLIENT_SECRET",
        "/etc/queuetick/config.toml",
    ):
        assert words in shown
