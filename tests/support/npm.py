"""Packages of npm that a test runs with node."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


def node_modules(package: str, version: str, skip: Callable[[str], NoReturn]) -> Path:
    """A node_modules folder with the package in it, kept between runs."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            skip(f"{program} is not installed")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = caches / "queuetick-tests" / f"{package.replace('/', '-')}-{version}"
    if not (cache / "complete").exists():
        cache.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", cache]
        install = subprocess.run(
            [*npm, f"{package}@{version}"], capture_output=True, text=True, timeout=300, check=False
        )
        if install.returncode != 0:
            skip(f"npm cannot install {package}: {install.stderr.strip().splitlines()[-1:]}")
        (cache / "complete").touch()
    return cache / "node_modules"
