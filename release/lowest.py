"""Print pip constraints that pin each core dependency of pyproject.toml to its lowest declared version."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement


def lowest() -> list[str]:
    """`name==version` for each core dependency; fails where one declares no lower bound."""
    document = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    found = []
    for requirement in map(Requirement, document["project"]["dependencies"]):
        [bound] = [specifier for specifier in requirement.specifier if specifier.operator == ">="]
        found.append(f"{requirement.name}=={bound.version}")
    return found


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest()) + "\n")
