"""Print docs/dev/licences.md: what a user installs with queuetick, and under which licence, from installed metadata.

Run by `make licences` in an environment with every extra.
"""

from __future__ import annotations

import sys
from importlib.metadata import distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("", "simulator", "viewers", "metrics")

HEAD = """# Licences

What `pip install queuetick` brings along, directly and through its dependencies, each under its own licence. Generated
by `make licences` from the metadata of the installed packages; a test asks that none is missing. queuetick itself is
Apache-2.0. Nothing here is copied into the wheel or the sdist.

| package | licence | needed by |
|---|---|---|
"""


def requirements(name: str, extra: str) -> list[str]:
    """The distributions that `name` asks for with `extra` (empty: without any), in this environment."""
    found = [Requirement(text) for text in distribution(name).requires or ()]
    return [
        canonicalize_name(requirement.name)
        for requirement in found
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    ]


def closure(extra: str) -> dict[str, set[str]]:
    """Every distribution that queuetick with `extra` needs, and which ones need it."""
    needed_by: dict[str, set[str]] = {}
    todo = [("queuetick", name) for name in requirements("queuetick", extra)]
    while todo:
        parent, name = todo.pop()
        if name not in needed_by:
            needed_by[name] = set()
            todo += [(name, child) for child in requirements(name, "")]
        needed_by[name].add(parent)
    return needed_by


def licence(name: str) -> str:
    """The SPDX expression, or what older metadata has in its place."""
    metadata = distribution(name).metadata
    text = metadata.get("License-Expression") or metadata.get("License") or ""
    if text and "\n" not in text:
        return text
    classifiers = [c for c in metadata.get_all("Classifier") or () if c.startswith("License :: ")]
    return ", ".join(c.rpartition(" :: ")[2] for c in classifiers) or "not stated"


def rows() -> list[tuple[str, str, str]]:
    """Name, licence and who needs it: first what every installation has, then what each extra adds."""
    core = closure("")
    found = []
    for extra in EXTRAS:
        packages = closure(extra)
        for name in sorted(packages if not extra else packages.keys() - core.keys()):
            parents = {f"queuetick[{extra}]" if extra and p == "queuetick" else p for p in packages[name]}
            found.append((distribution(name).name, licence(name), ", ".join(sorted(parents))))
    return found


if __name__ == "__main__":
    sys.stdout.write(HEAD + "".join(f"| {name} | {terms} | {why} |\n" for name, terms, why in rows()))
