"""What holds for every command: it is declared in its own module, and naming it costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from queuetick.cli.main import COMMANDS

HEAVY = {"PureCloudPlatformClientV2", "urllib3", "aiohttp", "rich", "structlog", "apscheduler", "msgspec"}


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["watch", "--help"], ["--version"]])
def test_help_loads_no_library(arguments, environment) -> None:
    program = (
        "import atexit, json, sys\n"
        "from queuetick.cli.main import main\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        f"main({arguments!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True
    )
    assert HEAVY & set(json.loads(done.stderr)) == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name, queuetick, environment) -> None:
    done = queuetick(name, "--help", env=environment)
    assert done.code == 0
    assert done.stdout.startswith(f"usage: queuetick {name}")
