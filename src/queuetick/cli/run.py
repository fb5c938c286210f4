"""`queuetick run`: the daemon."""

from __future__ import annotations

import argparse

from queuetick.cli import process
from queuetick.cli.arguments import add_config as add_arguments

__all__ = ["MORE", "SUMMARY", "add_arguments", "run"]

SUMMARY = "the daemon: poll every interval until a signal"

MORE = """\
examples:
  queuetick run | tee -a queuetick.jsonl
  queuetick run --config /etc/queuetick/config.toml

exit codes:
  0   stopped as asked (SIGTERM, SIGINT)
  1   a fault
  77  credentials or permissions were refused at start
  78  the configuration is invalid

SIGHUP reloads the configuration. Read docs/operations.md and docs/configuration.md.
"""


def run(arguments: argparse.Namespace) -> int:
    process.hold_signals()
    return process.with_config(
        arguments.config,
        lambda config, load, redaction: process.end_now(
            process.new_daemon(config, load, redaction, serve_metrics=True).run()
        ),
    )
