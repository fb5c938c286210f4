"""Arguments that several commands take."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def add_config(parser: argparse._ActionsContainer) -> None:
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
        raise argparse.ArgumentTypeError(f"{text!r} is out of range: give 1 or more")
    return number


def setting(section: str, key: str) -> Callable[[str], Any]:
    """An argument type: a number within the limits of the setting `section.key` of the configuration."""

    def parse(text: str) -> Any:
        from queuetick.config.convert import convert
        from queuetick.config.settings import SECTIONS
        from queuetick.events import Problem

        number = float(text)
        problems: list[Problem] = []
        converted = convert(section, SECTIONS[section], {key: number}, problems)
        if problems or not math.isfinite(number):
            fix = problems[0].fix if problems else "give a number"
            raise argparse.ArgumentTypeError(f"{text!r} is out of range: {fix}")
        return getattr(converted, key)

    parse.__name__ = "number"  # argparse says "invalid number value"
    return parse


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare `--json`."""
    parser.add_argument(
        "--json", action="store_true", help="JSON lines also where stdout is a terminal (see queuetick tail)"
    )


def for_eyes(arguments: argparse.Namespace) -> bool:
    """Whether a person reads stdout without --json, and what prints for people is installed."""
    return (
        not arguments.json
        and sys.stdout.isatty()
        and all(find_spec(name) is not None for name in ("rich", "queuetick.watch"))
    )
