"""The configuration: every problem of it, or every source and what came from where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from queuetick.check.result import Check, Item
from queuetick.config import Config, ConfigError
from queuetick.config import load as loading
from queuetick.config.rules import check_warnings
from queuetick.exit_codes import ExitCode
from queuetick.genesys import sdk
from queuetick.lines.length import map_strings


def read(
    path: Path | None, *, environ: Mapping[str, str], directory: Path | None
) -> tuple[Check, Config | None]:
    """The check of the configuration, and the configuration itself where it is valid."""
    try:
        config = loading.load(path, regions=sdk.region_hosts(), environ=environ, directory=directory)
    except ConfigError as error:
        return _invalid(error), None
    return _valid(config), config


def _invalid(error: ConfigError) -> Check:
    items = tuple(Item(problem.key, "fail", problem.problem, problem.fix) for problem in error.problems)
    message = f"{items[0].subject} {items[0].message}"
    if len(items) > 1:
        message = f"{len(items)} problems"
    fix = items[0].fix if len(items) == 1 else "fix each one below"
    items = (*(items if len(items) > 1 else ()), *_sources(error))
    return Check("config", "fail", message, fix, items=items, exit=ExitCode.CONFIG)


def _valid(config: Config) -> Check:
    where = config.source or "no file: defaults and environment"
    findings = tuple(
        Item(warning.key, "warn", warning.problem, warning.fix)
        for warning in (*check_warnings(config), *config.hints)
    )
    evidence = {"source": config.source, "origins": dict(config.origins)}
    items = (*findings, *_sources(config))
    if not findings:
        return Check("config", "pass", where, evidence=evidence, items=items)
    message = f"{where}; {findings[0].subject}: {findings[0].message}"
    return Check("config", "warn", message, findings[0].fix, evidence=evidence, items=items)


def _sources(config: Config | ConfigError) -> Iterator[Item]:
    """One item for each place where settings were looked for, in the order in which later ones win."""
    for source in config.sources:
        message = f"{source.state} ({source.reason})" if source.reason else source.state
        if source.state == "read":
            keys = sorted(key for key, origin in config.origins.items() if _is_from(source.name, origin))
            message = f"sets {', '.join(keys)}" if keys else "sets nothing"
        name = "the environment" if source.name == "environment" else source.name
        yield Item(name, "pass", message)


def _is_from(source: str, origin: str) -> bool:
    """Whether `origin`, as `Config.origins` words it, is the source of that name."""
    names = {source, f"the credential {Path(source).name}"}
    if source == "environment":
        names = {"the environment"}
    return origin in names or any(origin.endswith(f" in {name}") for name in names)


def relabelled(check: Check, labels: Mapping[str, str]) -> Check:
    """`check` with each text of `labels` replaced, in its words and its evidence."""

    def relabel(text: str) -> str:
        for shown, label in labels.items():
            text = text.replace(shown, label)
        return text

    return map_strings(check, relabel)
