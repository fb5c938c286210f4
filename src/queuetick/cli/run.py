"""`queuetick run`: the daemon."""

from __future__ import annotations

import argparse

from queuetick.cli import process
from queuetick.cli.arguments import add_config, add_json

SUMMARY = "poll every interval until a signal: the daemon"

MORE = """\
examples:
  queuetick run | tee -a queuetick.jsonl
  queuetick run --config /etc/queuetick/config.toml

exit codes:
  0   stopped as asked (SIGTERM, SIGINT)
  1   a fault
  77  credentials or permissions were refused at start
  78  the configuration is invalid

On a terminal a short line is printed for each change that matters; --json for the lines.
SIGHUP reloads the configuration. Read docs/operations.md and docs/configuration.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    return process.run_daemon(arguments, lambda daemon: daemon.run(), serve_metrics=True)
