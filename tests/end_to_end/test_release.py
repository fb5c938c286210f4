"""What is installed is declared, locked with hashes, and has its licence in the document."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = [Requirement(text) for text in PROJECT["dependencies"]]
OPTIONAL = {
    extra: [requirement for requirement in map(Requirement, texts) if requirement.name != "queuetick"]
    for extra, texts in PROJECT["optional-dependencies"].items()
}
LOCK = (ROOT / "requirements" / "ci.txt").read_text()
PINS = {
    canonicalize_name(name): (version, options)
    for name, version, options in re.findall(
        r"^([\w.-]+)==(\S+)([^#]*?)(?=^\S|^    #|\Z)", LOCK, re.MULTILINE
    )
}


def test_the_lock_names_no_registry() -> None:
    assert not re.search(r"://|--(index-url|extra-index-url|find-links|trusted-host)", LOCK)


@pytest.mark.parametrize("requirement", [*CORE, *(r for extra in OPTIONAL.values() for r in extra)], ids=str)
def test_every_dependency_is_locked_at_a_version_that_pyproject_allows(requirement) -> None:
    version, _ = PINS[canonicalize_name(requirement.name)]
    assert version in requirement.specifier


def test_every_locked_package_has_its_hashes() -> None:
    assert len(PINS) > 30
    assert [] == [name for name, (_, options) in PINS.items() if "--hash=sha256:" not in options]


def test_every_core_dependency_has_a_lower_bound() -> None:
    """`make test-lowest` tests what it says."""
    assert [] == [str(r) for r in CORE if ">=" not in {specifier.operator for specifier in r.specifier}]


def test_every_package_that_is_installed_with_queuetick_has_its_licence_in_the_document() -> None:
    text = (ROOT / "docs" / "dev" / "licences.md").read_text()
    listed = {canonicalize_name(name) for name in re.findall(r"^\| ([\w.-]+) \|", text, re.MULTILINE)}
    declared = {canonicalize_name(r.name) for r in [*CORE, *OPTIONAL["all"], *OPTIONAL["simulator"]]}
    assert declared <= listed
    assert "not stated" not in text


def test_every_package_that_the_source_imports_is_declared() -> None:
    """A dependency of a dependency may go away with its next version."""
    declared = {canonicalize_name(r.name) for r in [*CORE, *(r for name in OPTIONAL for r in OPTIONAL[name])]}
    distributions = packages_distributions()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for package in {(name or "").split(".")[0] for name in names} - {"queuetick", "__future__"}:
                if package not in sys.stdlib_module_names:
                    assert {canonicalize_name(d) for d in distributions[package]} & declared, (
                        f"{path}: {package}"
                    )
