"""Arguments that several commands take."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_config(parser: argparse.ArgumentParser) -> None:
    """Declare `--config FILE`."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML file (default: ./config.toml, then /etc/queuetick/config.toml, where one exists)",
    )


def positive(text: str) -> int:
    """An argument type: a whole number of 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
