"""The commands, and what they exit with."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from typing import Protocol

from queuetick import __version__
from queuetick.cli import check, demo, once, queues, run, schema, simulate, watch
from queuetick.exit_codes import ExitCode


class Command(Protocol):
    """What each command's module offers. Importing it must stay cheap: `queuetick --help` imports them all."""

    SUMMARY: str

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None: ...

    def run(self, arguments: argparse.Namespace, /) -> int:
        """Returns the exit code."""


COMMANDS: Mapping[str, Command] = {
    "run": run,
    "once": once,
    "check": check,
    "queues": queues,
    "watch": watch,
    "demo": demo,
    "simulate": simulate,
    "schema": schema,
}


def parser() -> argparse.ArgumentParser:
    """Every command with its arguments."""
    whole = argparse.ArgumentParser(
        prog="queuetick", description="Genesys Cloud queues as JSON lines, every 15 seconds."
    )
    whole.add_argument("--version", action="version", version=f"queuetick {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(commands.add_parser(name, help=command.SUMMARY, description=command.SUMMARY))
    return whole


def main(argv: list[str] | None = None) -> int:
    """The console script: run one command and return its exit code."""
    whole = parser()
    arguments = whole.parse_args(argv)
    if arguments.command is None:
        whole.print_help(sys.stderr)
        return ExitCode.USAGE
    try:
        return COMMANDS[arguments.command].run(arguments)
    except KeyboardInterrupt:
        return ExitCode.OK
    except BrokenPipeError:  # `queuetick schema | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.OK
