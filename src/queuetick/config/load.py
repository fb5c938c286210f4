"""Configuration: what may be set, and how files and environment become one `Config` or every problem at once.

Order, later wins: defaults, config.toml, `.env`, process environment, systemd credentials (secrets only).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from queuetick.background import begin
from queuetick.config.convert import convert, unknown
from queuetick.config.hints import region_hint
from queuetick.config.hosts import ascii_url
from queuetick.config.proxies import HTTPS_PROXY, NO_PROXY, no_proxy_patterns, parse_proxy, proxy_secrets
from queuetick.config.reading import ENVIRONMENT, Reading
from queuetick.config.rules import check_rules, check_threshold
from queuetick.config.settings import SECTIONS, Config, ConfigError, Genesys
from queuetick.events import Problem
from queuetick.events.thresholds import Threshold

DEFAULT_PATHS = (Path("config.toml"), Path("/etc/queuetick/config.toml"))
"""Read when `--config` is not given; the first that exists counts."""

PATIENCE = 10.0
"""Seconds that reading everything may take; a file system that does not answer never returns from a read."""

READING_THREAD = "queuetick-config"
MOST_HANGING = 4
"""Reads that may hang at the same time, each in a thread of that name."""

SHORTEST_SECRET = 6
"""Characters of the shortest secret that is masked in problems; a shorter one would blank out ordinary text."""


def load(
    path: Path | None,
    *,
    regions: Mapping[str, str],
    environ: Mapping[str, str],
    directory: Path | None = None,
) -> Config:
    """Read file and environment into a `Config`, once. Arguments and errors are those of `Loader`."""
    return Loader(path, regions=regions, environ=environ, directory=directory).load()


def load_thresholds(path: Path | None = None, *, directory: Path | None = None) -> tuple[Threshold, ...]:
    """The valid tables of `[[thresholds]]`, for viewers, which need no credentials and work without a configuration.

    A file that cannot be read gives none, and an invalid table is left out; `run` and `check` report both.
    """
    reading = Reading({}, directory or _present_directory(), frozenset(), owned=False)
    _, document = reading.file(_candidates(path), needed=False)
    tables = document.get("thresholds")
    found = []
    for table in tables if isinstance(tables, list) else ():
        problems: list[Problem] = []
        one = convert("thresholds", Threshold, table, problems)
        if not problems and not any(check_threshold("thresholds", one)):
            found.append(one)
    return tuple(found)


class Loader:
    """Reads the configuration at the start, and again on a reload; remembers which sources there were."""

    def __init__(
        self,
        path: Path | None,
        *,
        regions: Mapping[str, str],
        environ: Mapping[str, str],
        directory: Path | None = None,
    ) -> None:
        """`path` None means the first of `DEFAULT_PATHS` that exists, or none at all.

        `regions` maps region names to API hosts (from the SDK). `directory` is where relative paths are looked for, by
        default the present one.
        """
        self._path = path
        self._regions = regions
        self._environ = environ
        self._directory = directory
        self._seen: frozenset[Path] = frozenset()

    def load(self) -> Config:
        """Read all sources.

        Raises ConfigError with every problem found, each with its key and a fix. A source that an earlier call read
        and that is gone is a problem. Takes `PATIENCE` seconds at most.
        """
        reading = Reading(self._environ, self._directory or _present_directory(), self._seen)
        config = _within(PATIENCE, lambda: self._read(reading), reading)
        self._seen |= frozenset(reading.read)
        if self._path is None and config.source is not None:
            self._path = Path(config.source)  # a reload does not go over to another file
        return config

    def _read(self, reading: Reading) -> Config:
        file, document = reading.file(_candidates(self._path), needed=self._path is not None)
        variables = reading.variables(file)
        for variable, (section, name) in ENVIRONMENT.items():
            if variable in variables and isinstance(table := document.setdefault(section, {}), dict):
                table[name] = variables[variable]
                reading.origins[f"{section}.{name}"] = f"{variable} in {reading.origins[variable]}"
        problems = reading.problems
        sections: dict[str, Any] = {
            name: convert(name, kind, document.get(name, {}), problems) for name, kind in SECTIONS.items()
        }
        known = {**SECTIONS, "thresholds": Threshold}
        problems += [unknown(name or '""', name, known) for name in document if name not in known]
        thresholds = reading.thresholds(document)
        credentials = reading.credentials(variables)
        sections["genesys"] = genesys = _normal(sections["genesys"], self._regions)
        proxy, key = genesys.proxy, "genesys.proxy"
        if proxy is None:
            key = next((name for name in HTTPS_PROXY if name in variables), key)
            proxy = variables.get(key)
        parsed = None if proxy is None else parse_proxy(key, proxy, https_only=genesys.proxy is None)
        if isinstance(parsed, Problem):
            problems.append(parsed)
            parsed = None
        no_proxy = next((variables[name] for name in NO_PROXY if name in variables), "")
        config = Config(
            **sections,
            thresholds=thresholds,
            credentials=credentials,
            source=str(file) if file else None,
            sources=tuple(reading.sources),
            origins={key: value for key, value in reading.origins.items() if key not in ENVIRONMENT},
            proxy=parsed,
            no_proxy=no_proxy_patterns(no_proxy),
            proxy_secrets=tuple(
                dict.fromkeys(
                    secret
                    for url in (*reading.proxies(genesys), *_urls(sections.values()))
                    for secret in proxy_secrets(url)
                )
            ),
            hints=tuple(region_hint(reading.everything, reading.origins, genesys)),
        )
        reading.now = " or ".join(_files_named(config))
        problems += check_rules(config, self._regions)
        if problems:
            raise ConfigError(_masked(problems, config.secrets()), config.sources, config.origins)
        return config


def _urls(sections: Iterable[Struct]) -> Iterator[str]:
    """The URLs in settings that are no proxy: somebody may have written a login into one."""
    for section in sections:
        for value in structs.astuple(section):
            yield from (
                text for text in (value if isinstance(value, tuple) else (value,)) if "://" in str(text)
            )


def _files_named(config: Config) -> list[str]:
    """The settings that name a file, which the rules look at."""
    metrics = config.metrics
    files = {
        "genesys.ca_bundle": config.genesys.ca_bundle,
        "output.path": config.output.path if config.output.path != "-" else None,
        "metrics.tls_cert": metrics.tls_cert,
        "metrics.tls_key": metrics.tls_key,
        "metrics.tls_client_ca": metrics.tls_client_ca,
    }
    return [key for key, path in files.items() if path]


def _present_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was removed, or its parents cannot be searched: then nothing is found in it
        return Path()


def _candidates(path: Path | None) -> tuple[Path, ...]:
    return DEFAULT_PATHS if path is None else (path,)


def _normal(genesys: Genesys, regions: Mapping[str, str]) -> Genesys:
    """Region and hosts as the rest of the program compares them; what is invalid stays, for the rules to refuse."""
    changed: dict[str, str] = {}
    if genesys.region.strip().lower() in regions:
        changed["region"] = genesys.region.strip().lower()
    for name in ("api_url", "login_url"):
        url = getattr(genesys, name)
        if url is not None and "://" in url:
            try:
                changed[name] = ascii_url(url)
            except ValueError:
                continue
    return structs.replace(genesys, **changed)


def _masked(problems: list[Problem], secrets: list[str]) -> list[Problem]:
    """Mask the secrets in `problems`: a wrong value may be one, as where two variables were swapped."""

    def clean(text: str) -> str:
        for secret in secrets:
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, "***").replace(repr(secret)[1:-1], "***")
        return text

    return [Problem(*map(clean, (problem.key, problem.problem, problem.fix))) for problem in problems]


def _within(patience: float, read: Callable[[], Config], reading: Reading) -> Config:
    """What `read` returns or raises, in a thread that nobody waits for where a file system does not answer."""
    hanging = sum(thread.name == READING_THREAD for thread in threading.enumerate())
    if hanging >= MOST_HANGING:
        fix = "look for a file system that does not answer, and reload again"
        raise ConfigError([Problem("reload", f"{hanging} earlier reloads still wait for a file", fix)])
    try:
        return begin(read, READING_THREAD).result(patience)
    except TimeoutError:
        problem = f"{reading.now} was not read within {patience:g} s"
        fix = "check that its file system answers, or name a file elsewhere"
        raise ConfigError([Problem(os.path.basename(reading.now), problem, fix)]) from None  # noqa: PTH119
