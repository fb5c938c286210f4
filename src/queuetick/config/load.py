"""Configuration: what may be set, and how files and environment become one `Config` or every problem at once.

Order, later wins: defaults, config.toml, `.env`, process environment, systemd credentials (secrets only).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from queuetick.config.convert import STAND_IN, convert, unknown
from queuetick.config.rules import check_rules
from queuetick.config.settings import SECTIONS, Config, ConfigError, Credentials
from queuetick.events import Problem

DEFAULT_PATHS = (Path("config.toml"), Path("/etc/queuetick/config.toml"))
"""Read when `--config` is not given; the first that exists counts."""

ENVIRONMENT = {
    "GENESYS_REGION": ("genesys", "region"),
    "GENESYS_API_URL": ("genesys", "api_url"),
    "GENESYS_LOGIN_URL": ("genesys", "login_url"),
}


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
