"""A daemon with its metrics, started as a user does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .scraping import Running, required


@pytest.fixture
def start(credentials: dict[str, str], tmp_path: Path) -> Iterator[Callable[[str], Running]]:
    """Start a daemon on the simulator with `config`."""
    with contextlib.ExitStack() as running:
        yield lambda config: running.enter_context(
            Running(config, environment=credentials, directory=tmp_path)
        )


@pytest.fixture
def promtool() -> str:
    return required("promtool")
