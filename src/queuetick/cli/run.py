"""`queuetick run`: the daemon."""

from __future__ import annotations

import argparse

from queuetick.cli import process
from queuetick.cli.arguments import add_config as add_arguments

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "the daemon: poll every interval until a signal"


def run(arguments: argparse.Namespace) -> int:
    process.hold_signals()
    return process.with_config(
        arguments.config,
        lambda config, load: process.end(process.new_daemon(config, load, serve_metrics=True).run()),
    )
