"""Configuration: what may be set, and how files and environment become one `Config` or every problem at once.

Order, later wins: defaults, config.toml, `.env`, process environment, systemd credentials (secrets only).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec
from dotenv import dotenv_values
from msgspec import Meta, Struct

from queuetick.config.convert import STAND_IN, convert, unknown
from queuetick.config.rules import check_rules
from queuetick.events import Level, Problem

DEFAULT_PATHS = (Path("config.toml"), Path("/etc/queuetick/config.toml"))
"""Read when `--config` is not given; the first that exists counts."""

ENVIRONMENT = {
    "GENESYS_REGION": ("genesys", "region"),
    "GENESYS_API_URL": ("genesys", "api_url"),
    "GENESYS_LOGIN_URL": ("genesys", "login_url"),
}

Names = tuple[str, ...]


class Genesys(Struct, frozen=True):
    """Where the API is and how to reach it."""

    region: Annotated[str, Meta(description="a region of the SDK's own table, such as us-east-1")] = (
        "us-east-1"
    )
    endpoint: Annotated[
        Literal["observations", "details"],
        Meta(description='"observations" or, for gateways that offer it, "details"'),
    ] = "observations"
    api_url: Annotated[str | None, Meta(description="https URL that replaces the region's API host")] = None
    login_url: Annotated[str | None, Meta(description="https URL that replaces the region's login host")] = (
        None
    )
    timeout: Annotated[
        float, Meta(gt=0, le=120, description="seconds for one request, above 0 and up to 120")
    ] = 10
    proxy: Annotated[str | None, Meta(description="URL of an HTTP proxy; HTTPS_PROXY is honoured too")] = None
    ca_bundle: Annotated[str | None, Meta(description="path of a PEM file with the CAs to trust")] = None


class Queues(Struct, frozen=True):
    """Which queues are polled."""

    ids: Annotated[Names, Meta(description="list of queue UUIDs")] = ()
    names: Annotated[
        Names | None,
        Meta(description='list of globs on the queue name; default ["*"], or [] where ids are given'),
    ] = None
    divisions: Annotated[Names, Meta(description="list of division names or ids; empty: all")] = ()
    exclude: Annotated[Names, Meta(description="list of globs on the name, or ids, that are left out")] = ()
    refresh: Annotated[
        float, Meta(ge=1, le=86_400, description="seconds between discoveries, 1 to 86400 (a day)")
    ] = 600

    @property
    def name_globs(self) -> Names:
        """The globs in force: explicit ids alone mean that nothing else is asked for."""
        if self.names is not None:
            return self.names
        return () if self.ids else ("*",)


class Poll(Struct, frozen=True):
    """How often and how wide."""

    interval: Annotated[
        float, Meta(ge=0.1, le=3600, description="seconds from cycle to cycle, 0.1 to 3600")
    ] = 15
    batch_size: Annotated[
        int, Meta(ge=1, le=200, description="queues a request, 1 to 200 (the API's maximum)")
    ] = 20
    concurrency: Annotated[int, Meta(ge=1, le=64, description="requests under way at once, 1 to 64")] = 4
    requests_per_minute: Annotated[
        int, Meta(ge=1, le=1_000_000, description="the token's budget, 1 to 1000000")
    ] = 300


class Output(Struct, frozen=True):
    """Where the lines go."""

    path: Annotated[str, Meta(min_length=1, description='"-" for stdout, or the path of a file')] = "-"
    profile: Annotated[
        Literal["plain", "ecs", "otel"], Meta(description='field names: "plain", "ecs" or "otel"')
    ] = "plain"


class Log(Struct, frozen=True):
    """Which operational events are written; queue.snapshot always is."""

    level: Annotated[Level, Meta(description="debug, info, warning, error or critical")] = "info"


class Metrics(Struct, frozen=True):
    """Prometheus text, with the extra queuetick[metrics]."""

    listen: Annotated[str | None, Meta(description="host:port, such as 127.0.0.1:9477")] = None


class Credentials(Struct, frozen=True):
    """The OAuth client. Neither part shows in a repr."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return "Credentials(***)"


class Config(Struct, frozen=True):
    """Everything in force; `source` is the file that was read, if any."""

    genesys: Genesys
    queues: Queues
    poll: Poll
    output: Output
    log: Log
    metrics: Metrics
    credentials: Credentials
    source: str | None = None

    def masked(self) -> dict[str, Any]:
        """What `daemon.started` shows: every setting, no secret."""
        shown: dict[str, Any] = {name: msgspec.to_builtins(getattr(self, name)) for name in SECTIONS}
        proxy = shown["genesys"]["proxy"]
        if proxy and "@" in proxy:
            shown["genesys"]["proxy"] = proxy.split("://", 1)[0] + "://***@" + proxy.rsplit("@", 1)[1]
        shown["credentials"] = {"client_id": "***", "client_secret": "***"}
        shown["source"] = self.source
        return shown

    def secrets(self) -> list[str]:
        """Every other string that no line may hold: the proxy's password, as written and as sent."""
        password = urlsplit(self.genesys.proxy).password if self.genesys.proxy else None
        return list(dict.fromkeys((password, unquote(password)))) if password else []

    def changed(self, other: Config) -> list[str]:
        """Keys whose value differs in `other`; secrets by name only."""
        keys = [
            f"{section}.{name}"
            for section in SECTIONS
            for name in getattr(self, section).__struct_fields__
            if getattr(getattr(self, section), name) != getattr(getattr(other, section), name)
        ]
        keys += [
            name
            for name in ("client_id", "client_secret")
            if getattr(self.credentials, name) != getattr(other.credentials, name)
        ]
        return keys


SECTIONS: dict[str, type[Struct]] = {
    "genesys": Genesys,
    "queues": Queues,
    "poll": Poll,
    "output": Output,
    "log": Log,
    "metrics": Metrics,
}


class ConfigError(Exception):
    """The configuration does not hold; `problems` lists all that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problem(s) in the configuration")
        self.problems = problems


def load(
    path: Path | None,
    *,
    regions: Mapping[str, str],
    environ: Mapping[str, str],
    directory: Path | None = None,
) -> Config:
    """Read file and environment into a `Config`.

    `path` None means the first of `DEFAULT_PATHS` that exists, or none at all. `regions` maps region names to API
    hosts (from the SDK). `directory` is where `.env` and relative paths are looked for, by default the present one.

    Raises ConfigError with every problem found, each with its key and a fix.
    """
    base = directory if directory is not None else Path.cwd()
    problems: list[Problem] = []
    source, document = _read_file(path, base, problems)
    settings = _read_environment(environ, base)
    for variable, (section, name) in ENVIRONMENT.items():
        if settings.get(variable) and isinstance(table := document.setdefault(section, {}), dict):
            table[name] = settings[variable]
    sections = {
        name: convert(name, kind, document.get(name, {}), problems) for name, kind in SECTIONS.items()
    }
    problems += [unknown(name or '""', name, SECTIONS) for name in document if name not in SECTIONS]
    credentials = _read_credentials(settings, environ, problems)
    config = Config(**sections, credentials=credentials, source=str(source) if source else None)  # type: ignore[arg-type]
    problems += check_rules(config, regions)
    if problems:
        raise ConfigError(problems)
    return config


def _read_file(path: Path | None, base: Path, problems: list[Problem]) -> tuple[Path | None, dict[str, Any]]:
    for candidate in (path,) if path is not None else DEFAULT_PATHS:
        file = base / candidate
        try:
            return file, tomllib.loads(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            if path is None:
                continue
            reason = f"cannot be read: {error.strerror}"
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            reason = "cannot be read: it is not UTF-8 text"
        except RecursionError:
            reason = "is not valid TOML: it is nested too deeply"
        except ValueError as error:  # TOMLDecodeError, and int() on thousands of digits
            reason = f"is not valid TOML: {error}"
        fix = "mend that line" if "TOML" in reason else "give --config a readable TOML file"
        problems.append(Problem(str(candidate), reason, fix))
        return file, {}
    return None, {}


def _read_environment(environ: Mapping[str, str], base: Path) -> dict[str, str]:
    """`.env` below the process environment; empty values count as not set."""
    file = base / ".env"
    # ValueError: python-dotenv on a file that is not UTF-8.
    try:
        from_file = dotenv_values(file, interpolate=False)
    except (OSError, ValueError):
        from_file = {}
    return {
        name: value.strip()
        for source in (from_file, environ)
        for name, value in source.items()
        if value and value.strip()
    }


def _read_credentials(
    settings: Mapping[str, str], environ: Mapping[str, str], problems: list[Problem]
) -> Credentials:
    found: dict[str, str] = {}
    for name in ("client_id", "client_secret"):
        variable = f"GENESYS_{name.upper()}"
        value = settings.get(variable, "")
        if directory := environ.get("CREDENTIALS_DIRECTORY"):
            file = Path(directory) / f"genesys_{name}"
            try:
                value = file.read_text(encoding="utf-8").strip() or value
            except FileNotFoundError:
                pass
            except (OSError, ValueError):  # ValueError: not UTF-8
                value = value or STAND_IN
                problems.append(
                    Problem(
                        variable, f"the credential genesys_{name} cannot be read", "check LoadCredential="
                    )
                )
        if not value:
            problems.append(
                Problem(
                    variable,
                    "is not set",
                    f"set {variable} in the environment or in .env, or give systemd the credential genesys_{name}",
                )
            )
        found[name] = value
    return Credentials(**found)


def process_environment() -> Mapping[str, str]:
    """The environment as it is now."""
    return os.environ
