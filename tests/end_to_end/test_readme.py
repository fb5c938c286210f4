"""README's commands, and the tutorial's that need no systemd, run as written, in a copy of the repository.

Home and venv are their own.

`make test` is this suite: `.ci/run` calls it on a clean clone. What needs root and systemd is in tests/system.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import termios
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
TABLE = re.findall(r"^\| `(queuetick [^`]+)` \|", README, re.MULTILINE)
PATIENCE = 300
"""Seconds; the venv is made by pip."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("readme")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that is HOME, with the repository as git has it in `queuetick`."""
    home = tmp_path_factory.mktemp("home")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        target = home / "queuetick" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return home


@pytest.fixture(scope="module")
def clean(home: Path) -> dict[str, str]:
    """Nothing of the tester's but the way to the package index."""
    index = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or "proxy" in name.lower()
    }
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **index}


def blocks(page: str, containing: str) -> list[str]:
    """The code blocks of a page that contain a text, also those inside lists."""
    found = re.findall(r"^ *```\w*\n(.*?)^ *```$", page, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for block in found if containing in block]


def until_line(process: subprocess.Popen[str], found: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first of the process's lines that `found` is true of."""
    assert process.stdout is not None
    begun = False
    for line in process.stdout:
        if not begun and not line.startswith("{"):
            continue  # make says what it does to set up the venv
        begun = True
        if found(fact := json.loads(line)):
            return fact
    raise AssertionError(f"it ended with {process.wait()}")


def run(words: list[str], home: Path, shell: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What `words` did, which must be without an error."""
    done = subprocess.run(words, cwd=home, env=shell, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def demo(home: Path, clean: dict[str, str]) -> list[str]:
    """`make demo`, up to its first good cycle, then Ctrl-C; what it wrote after that, and on stderr."""
    (command,) = [block.strip() for block in BLOCKS if "make demo" in block]
    with subprocess.Popen(
        ["bash", "-c", command], cwd=home / "queuetick", env=clean, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        until_line(process, lambda fact: fact["event"] == "cycle.completed" and fact["outcome"] == "ok")
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    return [*out.splitlines(), err]


@pytest.fixture(scope="module")
def shell(home: Path, clean: dict[str, str], demo: list[str]) -> Iterator[dict[str, str]]:
    """The environment of somebody who has credentials: for `queuetick simulate`, run as README names it."""
    assert demo
    activated = {**clean, "PATH": f"{home}/queuetick/.venv/bin:{clean['PATH']}"}
    with subprocess.Popen(
        ["queuetick", "simulate"], cwd=home, env=activated, text=True, stdout=subprocess.PIPE
    ) as process:  # fmt: skip
        started = until_line(process, lambda fact: fact["event"] == "simulator.started")
        yield {
            **activated,
            "GENESYS_API_URL": started["url"],
            "GENESYS_CLIENT_ID": started["client_id"],
            "GENESYS_CLIENT_SECRET": started["client_secret"],
        }
        process.send_signal(signal.SIGINT)


def test_make_demo_runs_in_a_fresh_home_and_ctrl_c_ends_it(demo) -> None:
    *_, last, errors = demo
    assert json.loads(last)["event"] == "daemon.stopped"
    assert "Traceback" not in errors


def test_the_block_for_somebody_with_credentials_runs_line_by_line(home, shell) -> None:
    """The last line shows the table in a terminal; `q` ends it."""
    (block,) = [block for block in BLOCKS if "GENESYS_CLIENT_ID" in block]
    for name in ("GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"):
        block = block.replace(f"{name}=…", f"{name}={shell[name]}")
    *lines, live = block.strip().splitlines()
    assert live == "queuetick run | queuetick watch"
    done = run(["bash", "-e", "-c", "\n".join(lines)], home, shell)
    assert '"event":"queue.snapshot"' in done.stdout
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, 120))
    exported = [line for line in lines if line.startswith("export ")]
    with subprocess.Popen(
        ["bash", "-c", "\n".join([*exported, live])], cwd=home, env={**shell, "TERM": "xterm"},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        screen = b""
        began = time.monotonic()
        while b"WAITING" not in screen and time.monotonic() - began < 60:
            screen += os.read(ours, 65536)
        os.write(ours, b"q")
        try:
            while os.read(ours, 65536):
                pass
        except OSError:  # the terminal's other side is closed
            pass
        assert b"WAITING" in screen
        os.killpg(process.pid, signal.SIGTERM)
    os.close(ours)


def test_the_tutorials_block_for_the_simulator_runs(home, clean, demo) -> None:
    """`kill %1` is what the page ends the simulator with."""
    assert demo
    (block,) = blocks(TUTORIAL, "queuetick simulate")
    activated = {**clean, "PATH": f"{home}/queuetick/.venv/bin:{clean['PATH']}"}
    done = run(["bash", "-e", "-c", f"{block}\nkill %1"], home, activated)
    assert "13 passed, 2 skipped: exit 0" in done.stdout
    assert '"event":"queue.snapshot"' in done.stdout


@pytest.mark.parametrize("page", [TUTORIAL, OPERATIONS], ids=["tutorial", "operations"])
def test_the_pages_lines_write_the_credentials(page, tmp_path) -> None:
    (block,) = blocks(page, "read -rs secret")
    assert block.startswith("cd /etc/queuetick/credentials\n")
    done = subprocess.run(
        ["bash", "-ec", block.replace("/etc/queuetick/credentials", str(tmp_path))],
        input="an id\n a \\secret\n", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    written = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    assert written == {"genesys_client_id": "an id", "genesys_client_secret": "a \\secret"}


def test_the_tutorials_metrics_answer_as_it_says(home, shell, tmp_path) -> None:
    """Its table of config.toml, then its curl; on a free port, because others may use 9477 here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    (table,) = blocks(TUTORIAL, "[metrics]")
    (commands,) = blocks(TUTORIAL, "curl")
    (curl,) = [line for line in commands.splitlines() if line.startswith("curl")]
    (begins,) = re.findall(r"The answer begins with `([^`]+)`", TUTORIAL)
    (tmp_path / "config.toml").write_text(table.replace("9477", port))
    with subprocess.Popen(
        ["queuetick", "run"], cwd=tmp_path, env=shell, text=True, stdout=subprocess.PIPE
    ) as process:
        until_line(process, lambda fact: fact["event"] == "cycle.completed")
        answer = run(["bash", "-ec", curl.replace("9477", port)], tmp_path, shell).stdout
        process.send_signal(signal.SIGTERM)
    assert answer.startswith(begins)


@pytest.mark.parametrize("command", TABLE)
def test_every_command_of_the_table_is_one(command, home, shell) -> None:
    """Those that end by themselves are run whole; of the others the usage. Viewers read the lines of `once`."""
    words = re.sub(r" \[.*\]", "", command).split()
    if words[1] in ("run", "simulate", "demo"):
        words.append("--help")
    if words[1] in ("watch", "tail"):
        (home / "lines.jsonl").write_text(run(["queuetick", "once"], home, shell).stdout)
        words += ["--once" if words[1] == "watch" else "--no-follow", "lines.jsonl"]
    done = run(words, home, shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_every_command_of_queuetick_is_in_the_table(home, shell) -> None:
    usage = run(["queuetick", "--help"], home, shell)
    named = re.findall(r"^    ([a-z]+) ", usage.stdout, re.MULTILINE)
    assert {command.split()[1] for command in TABLE} == set(named)
