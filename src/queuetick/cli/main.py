"""The commands, and what they exit with."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Protocol, cast

from queuetick import __version__
from queuetick.cli import check, once, queues, run, schema, streams
from queuetick.exit_codes import ExitCode


class Command(Protocol):
    """What each command's module offers. Importing it must stay cheap: `queuetick --help` imports them all."""

    SUMMARY: str
    MORE: str
    """Examples, exit codes and the page to read: the end of `--help`."""

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None: ...

    def run(self, arguments: argparse.Namespace, /) -> int:
        """Returns the exit code."""


TOOLS = {
    "watch": "queuetick.watch",
    "tail": "queuetick.watch",
    "demo": "queuetick.simulator",
    "simulate": "queuetick.simulator",
}
"""Commands whose room is in a package of its own, queuetick-tools: a server that runs the daemon needs neither."""


class _NotInstalled:
    """A command of TOOLS without its room."""

    SUMMARY = "not installed: it is in the package queuetick-tools"
    MORE = ""

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Declare none: whatever follows the command, the answer is the same (see `main`)."""

    def run(self, arguments: argparse.Namespace, /) -> int:
        streams.say(f"queuetick: {arguments.command} is not installed: install the package queuetick-tools\n")
        return ExitCode.FAILURE


def _tool(name: str) -> Command:
    if find_spec(TOOLS[name]) is None:
        return _NotInstalled()
    return cast(Command, importlib.import_module(f"queuetick.cli.{name}"))


COMMANDS: Mapping[str, Command] = {
    "run": run,
    "once": once,
    "check": check,
    "queues": queues,
    "tail": _tool("tail"),
    "watch": _tool("watch"),
    "demo": _tool("demo"),
    "simulate": _tool("simulate"),
    "schema": schema,
}


def parser() -> argparse.ArgumentParser:
    """Every command with its arguments."""
    whole = argparse.ArgumentParser(
        prog="queuetick",
        description="Genesys Cloud queues as JSON lines, every 15 seconds.",
        epilog="`queuetick COMMAND --help` shows examples and exit codes.",
    )
    whole.add_argument("--version", action="version", version=f"queuetick {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(
            commands.add_parser(
                name,
                help=command.SUMMARY,
                description=command.SUMMARY,
                epilog=command.MORE,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    return whole


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    streams.prepare()
    streams.mask("stderr")
    try:
        code = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:  # `queuetick schema | head`
        streams.abandon()
        return ExitCode.OK
    except OSError as error:
        return streams.fail(error)
    return code


def _run(argv: list[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv and isinstance(COMMANDS.get(argv[0]), _NotInstalled):
        argv = argv[:1]
    whole = parser()
    try:
        arguments = whole.parse_args(argv)
    except SystemExit as ended:  # --help, --version, or a usage error that argparse has explained
        return int(ended.code or 0)
    if arguments.command is None:
        streams.say(whole.format_help())
        return ExitCode.USAGE
    if arguments.command in ("watch", "tail", "simulate"):
        # A file system that does not answer is waited for in the kernel, where no handler of Python's ends the wait.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if arguments.command != "simulate":  # whose credentials on stdout are there to be used
        streams.mask("stdout")
    return COMMANDS[arguments.command].run(arguments)
