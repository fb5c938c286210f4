"""What holds for every command: it is declared in its own module, and naming it costs nothing."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from queuetick.cli.main import COMMANDS, parser

HEAVY = {"PureCloudPlatformClientV2", "urllib3", "aiohttp", "rich", "structlog", "apscheduler", "msgspec"}


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["watch", "--help"], ["--version"]])
def test_help_loads_no_library(arguments, environment) -> None:
    program = (
        "import atexit, json, sys\n"
        "from queuetick.cli.main import main\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.__stderr__))\n"
        f"main({arguments!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True
    )
    assert HEAVY & set(json.loads(done.stderr)) == set()


@pytest.mark.parametrize("name", ["run", "schema", "watch"])
def test_ctrl_c_while_modules_load_ends_without_a_traceback(name, environment) -> None:
    program = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(name, *_):\n"
        "        if name == 'queuetick.cli.check':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder)\n"
        "from queuetick.__main__ import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, name], env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name, queuetick, environment) -> None:
    done = queuetick(name, "--help", env=environment)
    assert done.code == 0
    assert done.stdout.startswith(f"usage: queuetick {name}")


def calls_in(example: str) -> list[list[str]]:
    """The arguments of each `queuetick` in a line of shell."""
    tokens = shlex.shlex(example, posix=True, punctuation_chars=True)
    tokens.commenters = ""
    calls: list[list[str]] = [[]]
    for token in tokens:
        if set(token) <= set("|&;<>()"):
            calls.append([])
        elif token != "sudo":
            calls[-1].append(token)
    return [call for call in calls if call[:1] == ["queuetick"]]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_end_of_its_help_has_examples_that_parse_exit_codes_and_a_page(name) -> None:
    more = COMMANDS[name].MORE
    examples = re.findall(r"^  (.+?)(?: {2,}.*)?$", more[: more.index("exit codes")], re.MULTILINE)
    calls = [call for example in examples for call in calls_in(example)]
    assert [name] in [call[1:2] for call in calls]
    for call in calls:
        parser().parse_args(call[1:])
    assert re.findall(r"^  (0|1|2|75|77|78) +\w", more, re.MULTILINE)
    pages = re.findall(r"docs/[a-z-]+\.md", more)
    assert pages
    for page in pages:
        assert (Path(__file__).parents[2] / page).exists()
