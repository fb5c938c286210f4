"""The plan of the house, kept by tests: who may import whom, who may write, what the documents must name."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from queuetick.config import SECTIONS
from queuetick.config import load as configuration
from queuetick.events import EVENTS
from queuetick.exit_codes import ExitCode

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "queuetick"
MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))

ALONE = ("simulator",)
"""A simulator that shared our code would share our mistakes."""


def unit(module: str) -> str:
    return module.removesuffix(".py").removesuffix("/__init__").split("/")[0].split(".")[0]


def test_only_genesys_knows_the_sdk_and_http() -> None:
    for module in MODULES:
        text = (SOURCE / module).read_text()
        if unit(module) not in ("genesys", *ALONE):
            assert not re.search(
                r"^\s*(import|from) (urllib3|PureCloudPlatformClientV2)\b", text, re.MULTILINE
            ), module


def test_raw_json_of_the_api_stays_in_genesys() -> None:
    for module in MODULES:
        if unit(module) not in ("genesys", *ALONE):
            text = (SOURCE / module).read_text()
            assert not re.search(r"oWaiting|oOnQueueUsers|queueId|pageCount", text), module


def test_only_the_output_writes_to_standard_output_in_the_daemon() -> None:
    """Commands that print a document (schema, queues, check, simulate, watch) are not the daemon."""
    commands = {"cli", "check", "events", "watch", *ALONE}
    for module in MODULES:
        if unit(module) in commands:
            continue
        for node in ast.walk(ast.parse((SOURCE / module).read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                to_stderr = any(
                    k.arg == "file" and ast.unparse(k.value) == "sys.stderr" for k in node.keywords
                )
                assert called != "print" or to_stderr, module
                assert called not in ("sys.stdout.write", "sys.stdout.buffer.write"), module


def test_no_module_passes_350_lines() -> None:
    long = {module: n for module in MODULES if (n := len((SOURCE / module).read_text().splitlines())) > 350}
    assert {} == long


def test_every_event_is_in_the_document() -> None:
    text = (ROOT / "docs" / "events.md").read_text()
    for event in EVENTS:
        assert f"`{event.__struct_config__.tag}`" in text


def keys() -> list[str]:
    return [f"{section}.{name}" for section, kind in SECTIONS.items() for name in kind.__struct_fields__]


@pytest.mark.parametrize("key", keys())
def test_every_key_is_in_config_toml_and_in_the_document(key) -> None:
    section, name = key.split(".")
    example = (ROOT / "config.toml").read_text()
    body = re.search(rf"^\[{section}\]$(.*?)(^\[|\Z)", example, re.MULTILINE | re.DOTALL)
    assert body
    assert re.search(rf"^(# )?{name} = ", body[1], re.MULTILINE), "config.toml"
    assert f"`{name}`" in (ROOT / "docs" / "configuration.md").read_text(), "docs/configuration.md"


def test_config_toml_holds_the_defaults() -> None:
    document = tomllib.loads((ROOT / "config.toml").read_text())
    for section, kind in SECTIONS.items():
        defaults = kind()
        for name, value in document.get(section, {}).items():
            default = getattr(defaults, name)
            assert (list(default) if isinstance(default, tuple) else default) == value, f"{section}.{name}"


def test_every_environment_variable_is_in_the_document() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    for variable in (
        *configuration.ENVIRONMENT,
        "GENESYS_CLIENT_ID",
        "GENESYS_CLIENT_SECRET",
        "HTTPS_PROXY",
        "NO_PROXY",
    ):
        assert f"`{variable}`" in text


def test_every_exit_code_is_tested_and_documented() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    operations = (ROOT / "docs" / "operations.md").read_text()
    for code in ExitCode:
        assert re.search(rf"\b{code.value}\b", operations), code
        assert re.search(
            rf"(code|returncode|ExitCode\.{code.name}|EXIT)[^\n]*\b{code.value}\b|\b{code.value}\b[^\n]*code",
            tests,
        ) or (f"ExitCode.{code.name}" in tests), code


def test_no_word_that_says_nothing_names_a_module_or_a_class() -> None:
    for module in MODULES:
        for node in ast.walk(ast.parse((SOURCE / module).read_text())):
            if isinstance(node, ast.ClassDef):
                assert not re.search(r"Manager|Helper|Util|Payload", node.name), f"{module}: {node.name}"
        assert not re.search(r"manager|helper|util|payload", module)


def test_every_fact_that_a_docstring_cites_is_on_the_page() -> None:
    page = (ROOT / "docs" / "dev" / "api-facts.md").read_text()
    cited = {
        number
        for module in MODULES
        for number in re.findall(r"[Ff]acts,? (?:sections? )?(\d+(?:\.\d)?)", (SOURCE / module).read_text())
    }
    assert len(cited) > 4
    for number in cited:
        assert re.search(rf"^###? {re.escape(number)}\.? ", page, re.MULTILINE), number


def test_every_core_dependency_has_its_job_in_the_document() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    document = (ROOT / "docs" / "architecture.md").read_text()
    for name in (re.match(r"[\w-]+", dependency)[0] for dependency in declared):
        assert f"| {name} |" in document
