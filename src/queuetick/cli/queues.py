"""`queuetick queues`: the org's queues."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from queuetick.cli import process
from queuetick.cli.arguments import add_config
from queuetick.foreign_text import argument

if TYPE_CHECKING:
    from queuetick.config import Config

SUMMARY = "list the organisation's queues as a table, JSON, or TOML for config.toml"

MORE = """\
examples:
  queuetick queues --division EMEA
  queuetick queues --name 'Support*' --exclude '*test*' --toml >> config.toml
  queuetick queues --json | jq -r '.[] | select(.polled | not) | .name'

exit codes:
  0   listed
  1   no queue matches the options
  75  the API could not be reached
  77  credentials or permissions were refused
  78  the configuration is invalid

Read docs/check.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="a JSON list")
    form.add_argument(
        "--toml", dest="form", action="store_const", const="toml", help="a [queues] block to paste"
    )
    for flag, key, help_text in (
        ("--name", "GLOB", "only names that match, case-insensitively; may be repeated"),
        ("--division", "NAME", "only this division, by name or id; may be repeated"),
        ("--exclude", "GLOB", "leave out names that match, or an id; may be repeated"),
    ):
        parser.add_argument(flag, action="append", default=[], type=argument, metavar=key, help=help_text)
    parser.add_argument("--polled", action="store_true", help="only what the present configuration polls")


def run(arguments: argparse.Namespace) -> int:
    def queues(config: Config, _: Callable[[], Config]) -> int:
        from queuetick.cli import queue_table
        from queuetick.clock import Clock

        choice = queue_table.Choice(
            names=tuple(arguments.name),
            divisions=tuple(arguments.division),
            exclude=tuple(arguments.exclude),
            polled=arguments.polled,
        )
        return queue_table.run(
            config,
            choice,
            arguments.form or "table",
            clock=Clock(),
        )

    return process.with_config(arguments.config, queues)
