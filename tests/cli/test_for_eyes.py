"""On a terminal `run` and `once` print a short line for each change, and `demo` opens the live table."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.processes import QUEUETICK

SHORT = re.compile(r"\d\d:\d\d:\d\d (!!|! |ok|  ) \S")


class OnTerminal:
    """A command on a pseudo-terminal of its own, and what it has written."""

    def __init__(self, *arguments: str, env: dict[str, str], cwd: Path) -> None:
        self.outside, inside = pty.openpty()
        termios.tcsetwinsize(inside, (24, 120))
        self.process = subprocess.Popen(
            [*QUEUETICK, *arguments], stdin=inside, stdout=inside, stderr=subprocess.PIPE, cwd=cwd,
            env=env | {"TERM": "xterm-256color"}, start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509 - makes it the controlling one
        )  # fmt: skip
        os.close(inside)
        self.data = b""

    def until(self, done: Callable[[str], Any], seconds: float = 30) -> str:
        """The text so far, without escape sequences, once `done` says so or the command has ended."""
        deadline = time.monotonic() + seconds
        while not done(self.text) and time.monotonic() < deadline:
            if select.select([self.outside], [], [], 0.1)[0]:
                try:
                    self.data += os.read(self.outside, 1 << 16)
                except OSError:  # the other end is closed
                    break
        assert done(self.text) or self.process.poll() is not None, self.text
        return self.text

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[?<\d;]*[A-Za-z]", "", self.data.decode(errors="replace")).replace("\r\n", "\n")

    def end(self) -> tuple[int, str]:
        """Exit code and stderr."""
        _, errors = self.process.communicate(timeout=30)
        os.close(self.outside)
        return self.process.returncode, errors.decode()


def test_once_on_a_terminal_is_short_lines_in_colour(credentials, tmp_path) -> None:
    """No JSON; queues over their target and events in words."""
    command = OnTerminal("once", env=credentials, cwd=tmp_path)
    text = command.until(lambda text: "stopped after" in text)
    assert command.end() == (0, "")
    lines = text.strip().splitlines()
    assert all(SHORT.match(line) for line in lines), text
    assert "queuetick" in lines[0] and "45 of 45 queues answered" in text
    assert b"\x1b[" in command.data


def test_json_is_json_also_on_a_terminal(credentials, tmp_path) -> None:
    command = OnTerminal("once", "--json", env=credentials, cwd=tmp_path)
    text = command.until(lambda text: "daemon.stopped" in text)
    assert command.end() == (0, "")
    assert {json.loads(line)["event"] for line in text.strip().splitlines()} >= {"queue.snapshot"}


def test_a_pipe_and_a_file_take_json(queuetick, credentials, tmp_path) -> None:
    """Only a terminal is read by a person."""
    assert queuetick("once", env=credentials).events("queue.snapshot")
    (tmp_path / "config.toml").write_text(f'[output]\npath = "{tmp_path}/lines"\n')
    assert OnTerminal("once", env=credentials, cwd=tmp_path).end() == (0, "")
    assert b'"queue.snapshot"' in (tmp_path / "lines").read_bytes()


def test_no_color_is_respected(credentials, tmp_path) -> None:
    command = OnTerminal("once", env=credentials | {"NO_COLOR": "1"}, cwd=tmp_path)
    command.until(lambda text: "stopped after" in text)
    assert command.end()[0] == 0
    assert not re.search(rb"\x1b\[[\d;]*[34]\d", command.data)


def test_run_prints_for_eyes_and_ctrl_c_ends_it(credentials, tmp_path) -> None:
    """With another profile configured too: it is for files and pipes."""
    (tmp_path / "config.toml").write_text('[output]\nprofile = "ecs"\n[poll]\ninterval = 0.5\n')
    command = OnTerminal("run", env=credentials, cwd=tmp_path)
    command.until(lambda text: "queues answered" in text)
    command.process.send_signal(signal.SIGINT)
    text = command.until(lambda text: "stopped after" in text)
    assert command.end()[0] == 0
    assert all(SHORT.match(line) for line in text.strip().splitlines()), text


def test_demo_opens_the_live_table_and_says_how_to_get_lines(environment, tmp_path) -> None:
    """At a busy hour, every two seconds; q ends the table and the daemon behind it."""
    command = OnTerminal("demo", env=environment, cwd=tmp_path)
    text = command.until(lambda text: "cycle 2" in text)
    assert "QUEUE" in text and "{" not in text
    os.write(command.outside, b"q")
    code, errors = command.end()
    assert code == 0 and "queuetick demo --json" in errors
