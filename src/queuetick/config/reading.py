"""One pass over all sources of the configuration: what was read, where each value came from, and what is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from queuetick.config.convert import PLACEHOLDER, convert
from queuetick.config.hints import secret_hint
from queuetick.config.proxies import HTTPS_PROXY, NO_PROXY
from queuetick.config.rules import check_secret
from queuetick.config.settings import Credentials, Genesys, Source
from queuetick.config.sources import Unreadable, parse_dotenv, read_text
from queuetick.events import Problem
from queuetick.events.thresholds import Threshold

ENVIRONMENT = {
    "QUEUETICK_ORG": ("genesys", "org"),
    "GENESYS_REGION": ("genesys", "region"),
    "GENESYS_API_URL": ("genesys", "api_url"),
    "GENESYS_LOGIN_URL": ("genesys", "login_url"),
}
SECRETS = {"client_id": "GENESYS_CLIENT_ID", "client_secret": "GENESYS_CLIENT_SECRET"}
HOSTS = ("GENESYS_REGION", "GENESYS_API_URL", "GENESYS_LOGIN_URL", *HTTPS_PROXY)
"""Variables that decide where the secrets go."""


class Reading:
    """One pass over all sources: what was read, where each value came from, and what is wrong."""

    def __init__(
        self, environ: Mapping[str, str], base: Path, seen: frozenset[Path], *, owned: bool = True
    ) -> None:
        """`seen` are the files that must be there; `owned` refuses files that somebody else can have written."""
        self.problems: list[Problem] = []
        self.sources: list[Source] = []
        self.origins: dict[str, str] = {}
        self.read: list[Path] = []
        self.everything: dict[str, str] = {}
        self.now = "config.toml"
        """What is being read: named where it does not answer."""
        self._environ = environ
        self._base = base
        self._seen = seen
        self._owned = owned
        self._dotenv: dict[str, str] = {}
        self._dotenv_name = ""
        self._dotenv_failed = False

    def file(self, paths: Sequence[Path], *, needed: bool) -> tuple[Path | None, dict[str, Any]]:
        """The configuration file in force, the first of `paths` that exists, and its document."""
        for candidate in paths:
            file = self._base / candidate
            text = self._text(file, str(candidate), owned=self._owned, needed=needed)
            if text is None:
                if not self.problems:
                    continue
                return file, {}
            try:
                document = tomllib.loads(text)
            except RecursionError:
                reason = "it is nested too deeply"
            except ValueError as error:  # TOMLDecodeError, and int() on thousands of digits
                reason = str(error)
            else:
                self._note_origins(document, str(file))
                return file, document
            fix = "correct that line"
            if reason.startswith("Invalid value"):
                fix = 'correct that line; text needs quotation marks, such as region = "eu-west-1"'
            self.problems.append(Problem(str(candidate), f"is not valid TOML: {reason}", fix))
            return file, {}
        return None, {}

    def _note_origins(self, document: dict[str, Any], name: str) -> None:
        for section, table in document.items():
            if isinstance(table, dict):
                self.origins.update({f"{section}.{key}": name for key in table})
            else:
                self.origins[section] = name

    def thresholds(self, document: dict[str, Any]) -> tuple[Threshold, ...]:
        tables = document.get("thresholds", [])
        if not isinstance(tables, list):
            fix = "write each as a table of its own: [[thresholds]]"
            self.problems.append(Problem("thresholds", "is not a list of tables", fix))
            return ()
        return tuple(
            convert(f"thresholds[{index}]", Threshold, table, self.problems)
            for index, table in enumerate(tables)
        )

    def variables(self, file: Path | None) -> dict[str, str]:
        """`.env` below the process environment; empty values count as not set."""
        path = (file.parent if file is not None else self._base) / ".env"
        self._dotenv_name = str(path)
        if self._environ.get("CREDENTIALS_DIRECTORY"):
            self.sources.append(Source(str(path), "ignored", "$CREDENTIALS_DIRECTORY is given"))
        elif (text := self._text(path, str(path), owned=self._owned)) is None:
            self._dotenv_failed = any(problem.key == str(path) for problem in self.problems)
        else:
            self._dotenv, bad = parse_dotenv(text)
            if bad:
                lines = ("line " if len(bad) == 1 else "lines ") + ", ".join(map(str, bad[:10]))
                fix = "correct that line" if len(bad) == 1 else "correct those lines"
                self.problems.append(Problem(str(path), f"{lines}: not NAME=VALUE", fix))
        self.sources.append(Source("environment", "read"))
        found: dict[str, str] = {}
        for name, values in ((str(path), self._dotenv), ("the environment", self._environ)):
            given = {key: value.strip() for key, value in values.items() if value and value.strip()}
            self.everything.update(given)
            for key in (*ENVIRONMENT, *SECRETS.values(), *HTTPS_PROXY, *NO_PROXY):
                if key in given:
                    found[key] = given[key]
                    self.origins[key] = name
        self._drop_overridden(found)
        return found

    def _drop_overridden(self, found: dict[str, str]) -> None:
        """Drop a spelling of a proxy variable that `.env` sets where the environment sets the other one."""
        for pair in (HTTPS_PROXY, NO_PROXY):
            origins = {name: self.origins[name] for name in pair if name in found}
            if len(set(origins.values())) > 1:
                for name in (name for name, origin in origins.items() if origin == self._dotenv_name):
                    del found[name], self.origins[name]

    def credentials(self, variables: Mapping[str, str]) -> Credentials:
        """The two secrets; a problem for each that is missing or that was not copied clean."""
        found: dict[str, str] = {}
        for name, variable in SECRETS.items():
            value = variables.get(variable, "")
            before = len(self.problems)
            if directory := self._environ.get("CREDENTIALS_DIRECTORY"):
                credential = Path(directory) / f"genesys_{name}"
                label = f"the credential {credential.name}"
                text = (self._text(credential, variable, owned=False, label=label) or "").strip()
                if text:
                    value, self.origins[variable] = text, label
            if len(self.problems) > before or (not value and self._dotenv_failed):
                value = value or PLACEHOLDER  # what could not be read may hold it
            elif value:
                self.problems += check_secret(variable, value)
            else:
                self.problems.append(secret_hint(name, variable, self.everything))
            found[name] = value
        self._keep_hosts(variables)
        return Credentials(**found)

    def _keep_hosts(self, variables: Mapping[str, str]) -> None:
        """`.env` does not decide where secrets go that come from elsewhere: a stranger may have put it there."""
        dotenv = self._dotenv_name
        elsewhere = [
            f"{variable} comes from {self.origins[variable]}"
            for variable in SECRETS.values()
            if self.origins.get(variable, dotenv) != dotenv
        ]
        for variable in HOSTS:
            if elsewhere and variable in variables and self.origins[variable] == dotenv:
                self.problems.append(
                    Problem(
                        variable,
                        f"is set by {dotenv}, but {elsewhere[0]}",
                        f"set {variable} in the environment or in config.toml, or put the credentials in that .env",
                    )
                )

    def proxies(self, genesys: Genesys) -> list[str]:
        """The URLs of all proxies that any source names, in force or not."""
        named = [values.get(name) for values in (self._dotenv, self._environ) for name in HTTPS_PROXY]
        return [url.strip() for url in (genesys.proxy, *named) if url]

    def _text(
        self, path: Path, key: str, *, owned: bool, needed: bool = False, label: str | None = None
    ) -> str | None:
        """The text of a source, None where there is none; a problem where it cannot be used or was there before.

        `label` begins the sentence where `key` does not name the file.
        """
        self.now = str(path)
        subject = f"{label} " if label else ""
        try:
            text = read_text(path, owned=owned)
        except (FileNotFoundError, NotADirectoryError) as error:
            if path in self._seen:
                fix = "put it back, or restart queuetick to run without it"
                self.problems.append(Problem(key, f"{subject}was read before and is gone", fix))
            elif needed:
                fix = "give --config a readable TOML file"
                self.problems.append(Problem(key, f"cannot be read: {error.strerror}", fix))
            else:
                self.sources.append(Source(str(path), "absent"))
        except Unreadable as error:
            self.problems.append(Problem(key, f"{subject}{error.problem}", error.fix))
        else:
            self.sources.append(Source(str(path), "read"))
            self.read.append(path)
            return text
        return None
