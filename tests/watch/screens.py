"""Boards and screens that some lines make, and the viewers as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from watch_lines import START

from queuetick.events.thresholds import Thresholds
from queuetick.watch import styles
from queuetick.watch.header import Scene
from queuetick.watch.screen import Screen
from queuetick.watch.state import Board
from queuetick.watch.view import View

NOW = START + 2


def board_of(*lines: bytes, limits: Thresholds | None = None) -> Board:
    board = Board(limits)
    board.feed(lines)
    return board


def scene_of(*lines: bytes, now: float = NOW, **fields: Any) -> Scene:
    """`fields` are those of the view and of the scene."""
    view = View(**{key: fields.pop(key) for key in list(fields) if hasattr(View(), key)})
    return Scene(board_of(*lines), view, now, now, **fields)


def text(scene: Scene, width: int = 80, height: int = 24) -> list[str]:
    return [styles.ansi(row, None) for row in Screen().frame(scene, width, height)]


def viewer(
    *arguments: str | Path, lines: bytes = b"", cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """`queuetick watch` or `tail` with these lines on stdin."""
    command = [sys.executable, "-m", "queuetick", *arguments]
    env = os.environ | environment
    return subprocess.run(
        command, input=lines, capture_output=True, timeout=30, check=False, env=env, cwd=cwd
    )
