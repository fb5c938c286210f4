"""stdout that is closed, full, cut off or of another encoding: words and the right exit code, never a traceback."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from queuetick.events.examples import LINES
from queuetick.simulator import Simulator

COMMANDS = {
    "once": ["once"],
    "check": ["check"],
    "check --json": ["check", "--json"],
    "queues": ["queues"],
    "queues --json": ["queues", "--json"],
    "queues --toml": ["queues", "--toml"],
    "schema": ["schema"],
}
READ_ONCE = [name for name in COMMANDS if name != "once"]


@pytest.fixture
def shell(tmp_path: Path, credentials):
    """Run `queuetick ARGUMENTS REDIRECTION` by a shell; PIPESTATUS of its first command, stdout, stderr."""

    def run(arguments: list[str], redirection: str, **variables: str) -> tuple[int, bytes, str]:
        command = " ".join([sys.executable, "-m", "queuetick", *arguments, redirection])
        done = subprocess.run(
            ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
            env={**credentials, **variables},
            cwd=tmp_path,
            capture_output=True,
            timeout=30,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr.decode()

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_ends_in_words_and_exit_1(name, shell) -> None:
    code, _, stderr = shell(COMMANDS[name], "> /dev/full")
    assert code == 1
    assert "No space left on device" in stderr
    assert "Traceback" not in stderr
    assert "Exception" not in stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_closed_stdout_ends_in_exit_1(name, shell) -> None:
    code, _, stderr = shell(COMMANDS[name], ">&-")
    assert code == 1
    assert "Traceback" not in stderr
    assert "Exception" not in stderr


@pytest.mark.parametrize("name", READ_ONCE)
def test_a_reader_that_leaves_early_is_no_fault(name, shell) -> None:
    code, _, stderr = shell(COMMANDS[name], "| true")
    assert (code, stderr) == (0, "")


def test_check_exits_with_its_findings_even_when_nobody_reads_them(shell) -> None:
    code, _, stderr = shell(["check"], "| true", GENESYS_CLIENT_SECRET="another-secret")
    assert (code, stderr) == (77, "")


def test_once_says_that_nobody_read_its_lines(shell) -> None:
    code, _, stderr = shell(["once"], "| true")
    assert code == 1
    assert "the output was closed" in stderr
    assert "BrokenPipe" not in stderr


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("closed", ["2>&-", "2> /dev/full", "<&-"])
def test_another_stream_that_is_closed_or_full_changes_nothing(name, closed, shell) -> None:
    code, stdout, _ = shell(COMMANDS[name], closed)
    assert code == 0
    assert stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-16"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_encoding_takes_every_name(name, encoding, shell, simulator) -> None:
    simulator.rename_queue(simulator.queue_ids[0], "Zoë 日本 \U0001f4de \u202e\x9b31m")
    code, stdout, stderr = shell(COMMANDS[name], "", PYTHONIOENCODING=encoding)
    assert code == 0, stderr
    assert "Traceback" not in stderr
    text = stdout.decode("utf-8" if name == "once" else encoding)
    if name != "once":
        assert "\u202e" not in text
        assert "\x9b" not in text
    if name == "queues --json":
        assert (
            next(row["name"] for row in json.loads(text) if row["id"] == simulator.queue_ids[0])
            == "Zoë 日本 \U0001f4de \u202e\x9b31m"
        )


LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("command", ["tail --all --no-follow --queue", "watch --once --filter"])
def test_viewers_read_a_pattern_as_utf_8_in_every_locale(command, shell, tmp_path) -> None:
    snapshot = next(line for line in map(json.loads, LINES) if line["event"] == "queue.snapshot")
    names = {"サポート 7": 817, "サポート 8": 818}
    lines = [
        snapshot | {"queue_name": name, "queue_id": name, "waiting": number} for name, number in names.items()
    ]
    file = tmp_path / "queuetick.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    pattern = "サポート 7" if "tail" in command else "サポート name:*7"
    code, stdout, stderr = shell([*command.split(), f"'{pattern}'", str(file)], "", **LOCALE)
    assert (code, stderr) == (0, "")
    rows = [line for line in stdout.decode("ascii").splitlines() if re.search("81[78]", line)]
    assert len(rows) == 1
    assert "817" in rows[0]


def test_a_pattern_is_read_as_utf_8_in_every_locale(shell, simulator) -> None:
    simulator.rename_queue(simulator.queue_ids[0], "サポート 7")
    code, stdout, stderr = shell(["queues", "--json", "--name", "'サポート 7'"], "", **LOCALE)
    assert (code, stderr) == (0, "")
    assert [row["id"] for row in json.loads(stdout)] == [simulator.queue_ids[0]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--interval", "0"],
        ["--interval", "-5"],
        ["--interval", "nan"],
        ["--interval", "inf"],
        ["--interval", "1e99"],
        ["--interval", "soon"],
        ["--queues", "999999"],
        ["--queues", "0"],
        ["--queues", "-1"],
        ["--cycles", "0"],
        ["--cycles", "1.5"],
        ["--seed", "x"],
    ],
)
def test_demo_refuses_what_the_config_would_refuse(arguments, queuetick, environment) -> None:
    done = queuetick("demo", *arguments, env=environment)
    assert (done.code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert arguments[1] in done.stderr


def test_demo_whose_lines_cannot_be_written_exits_1(shell) -> None:
    code, _, stderr = shell(["demo", "--cycles", "1", "--queues", "2"], "> /dev/full")
    assert code == 1
    assert "No space left on device" in stderr


def test_demo_polls_what_it_simulates(queuetick, environment) -> None:
    done = queuetick("demo", "--cycles", "2", "--interval", "0.2", "--queues", "3", env=environment)
    assert done.code == 0
    assert len(done.events("queue.snapshot")) == 6


@pytest.mark.parametrize(
    ("config", "faults", "code"),
    [
        ("", {}, 0),
        ('[queues]\nnames = ["Suport*"]\n', {}, 1),
        ('[queues]\ndivisions = ["Nowhere"]\n', {}, 1),
        ('[queues]\nids = ["8d2f5c7e-0000-4000-8000-00000000beef"]\n', {}, 1),
        ("", {"status": {429: 1.0}, "status_retry_after": 90.0}, 75),
        ("", {"status": {503: 1.0}}, 75),
        ("", {"html": 1.0}, 75),
    ],
)
def test_once_exits_by_its_outcome(
    config, faults, code, queuetick, credentials, simulator: Simulator
) -> None:
    simulator.set_faults(**faults)
    done = queuetick("once", env=credentials, config=config + "[poll]\ninterval = 2\n", timeout=60)
    assert done.code == code, done.stdout
