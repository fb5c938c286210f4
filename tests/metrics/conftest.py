"""A daemon with its metrics, started as a user does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .scraping import Running, required


@pytest.fixture
def start(credentials: dict[str, str], tmp_path: Path) -> Iterator[Callable[[str], Running]]:
    """Start a daemon on the simulator with `config`."""
    began: list[Running] = []

    def run(config: str) -> Running:
        (tmp_path / "config.toml").write_text(config)
        began.append(Running(credentials, tmp_path))
        return began[-1]

    yield run
    for daemon in began:
        daemon.end()


@pytest.fixture
def promtool() -> str:
    return required("promtool")
