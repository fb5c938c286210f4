"""Write tab completion of `queuetick` for bash, zsh and fish into a directory: queuetick.bash, .zsh, .fish."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import shtab

from queuetick.cli.main import parser

SHELLS = ("bash", "zsh", "fish")


def write(directory: Path) -> None:
    """Write one file for each shell. FILE arguments complete file names."""
    whole = parser()
    for action in _actions(whole):
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined] - the attribute that shtab reads
    directory.mkdir(parents=True, exist_ok=True)
    for shell in SHELLS:
        (directory / f"queuetick.{shell}").write_text(shtab.complete(whole, shell=shell), encoding="utf-8")


def _actions(whole: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in whole._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _actions(each)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
