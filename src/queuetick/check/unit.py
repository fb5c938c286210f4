"""Configuration and credentials as a systemd unit has them, read from where the unit takes them."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from queuetick.config.sources import Unreadable

_BUS = "org.freedesktop.systemd1"
_MANAGER = ("/org/freedesktop/systemd1", f"{_BUS}.Manager")
_CREDENTIALS = ("LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted")
"""In the order in which systemd prefers them for one id."""

STORES = ("/etc/credstore", "/run/credstore", "/usr/local/lib/credstore", "/usr/lib/credstore")
"""Where systemd looks for a credential whose path is relative; encrypted ones beside them, in credstore.encrypted."""

TIMEOUT = 20.0
"""Seconds that systemd has for one question; systemd-creds may have to wait for a TPM."""


class UnitSetUp(Struct, frozen=True):
    """What the process of a unit would start with."""

    name: str
    user: str
    stdout: str
    """What StandardOutput= says, such as "journal"."""
    config: Path | None
    """What ExecStart gives to --config."""
    directory: Path
    environ: Mapping[str, str]
    labels: Mapping[str, str]
    """What to show in place of a path of this check's own, such as that of a decrypted credential."""


@contextlib.contextmanager
def set_up_of(unit: str) -> Iterator[UnitSetUp]:
    """What `unit` ("queuetick", "queuetick@emea", with or without .service) would start with.

    Credentials are copied, decrypted, into a directory that only this user can read, and that is removed at the end.
    Raises Unreadable.
    """
    name = unit if unit.endswith(".service") else f"{unit}.service"
    properties = _properties(name)
    environ = _environment(properties, name)
    directory = Path(properties["WorkingDirectory"].lstrip("!") or "/")
    with tempfile.TemporaryDirectory(prefix="queuetick-check-", dir=_memory()) as held:
        labels: dict[str, str] = {}
        for credential, label, content in _credentials(properties):
            copy = Path(held, credential)
            copy.touch(mode=0o600)
            copy.write_bytes(content)
            labels[str(copy)] = label
        if labels:
            environ["CREDENTIALS_DIRECTORY"] = held
        labels["the environment"] = f"the environment of {name}"
        yield UnitSetUp(
            name=name,
            user=properties["User"] or "root",
            stdout=properties["StandardOutput"],
            config=_config_of(properties["ExecStart"], name),
            directory=directory,
            environ=environ,
            labels=labels,
        )


def _properties(name: str) -> dict[str, Any]:
    """The unit's settings as systemd understands them, drop-ins and specifiers included."""
    (path,) = _ask("call", _BUS, *_MANAGER, "LoadUnit", "s", name)[0]
    (state,) = _ask("get-property", _BUS, path, f"{_BUS}.Unit", "LoadState")
    if state != "loaded":
        raise Unreadable(
            f"systemd has no unit {name} ({state})",
            "list them with `systemctl list-unit-files 'queuetick*'`; an instance is written queuetick@NAME",
        )
    names = (
        *("ExecStart", "Environment", "EnvironmentFiles", "StandardOutput", "User", "WorkingDirectory"),
        *_CREDENTIALS,
    )
    found = dict(zip(names, _ask("get-property", _BUS, path, f"{_BUS}.Service", *names), strict=True))
    (found["Manager"],) = _ask("get-property", _BUS, *_MANAGER, "Environment")
    return found


def _ask(*arguments: str) -> list[Any]:
    """One answer of systemd for each property asked for."""
    done = _run("busctl", "--system", "--json=short", *arguments)
    return [json.loads(line)["data"] for line in done.decode().splitlines()]


def _run(*command: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError:
        raise Unreadable(
            f"{command[0]} is not installed", "run this on the server that has the unit"
        ) from None
    except subprocess.TimeoutExpired:
        raise Unreadable(f"{command[0]} did not answer within {TIMEOUT:g} s", "try again") from None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        fix = (
            "run it as root, where systemd is the init"
            if os.geteuid()
            else "run it where systemd runs, or without --unit"
        )
        raise Unreadable(f"{command[0]}: {reason[-1] if reason else 'failed'}", fix)
    return done.stdout


def _config_of(commands: Sequence[Sequence[Any]], name: str) -> Path | None:
    """What the unit's `queuetick run` gets as --config."""
    for _, arguments, *_ in commands:
        if "run" not in arguments:
            continue
        for position, argument in enumerate(arguments):
            if argument == "--config" and position + 1 < len(arguments):
                return Path(arguments[position + 1])
            if argument.startswith("--config="):
                return Path(argument.removeprefix("--config="))
        return None
    raise Unreadable(f"{name} does not start `queuetick run`", "name the unit of the daemon")


def _environment(properties: Mapping[str, Any], name: str) -> dict[str, str]:
    """The manager's variables, then Environment=, then each EnvironmentFile=; later ones win, as in systemd."""
    environ = dict(entry.split("=", 1) for entry in (*properties["Manager"], *properties["Environment"]))
    for pattern, optional in properties["EnvironmentFiles"]:
        files = sorted(glob.glob(pattern)) or [pattern]  # noqa: PTH207 - an absolute pattern
        for file in files:
            try:
                environ |= environment_file(_read(Path(file)).decode(errors="surrogateescape"))
            except FileNotFoundError:
                if not optional:
                    fix = f"create it, or write EnvironmentFile=-{file} in {name}"
                    raise Unreadable(f"EnvironmentFile={file} does not exist", fix) from None
    return environ


_QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"|'[^']*')\s*""", re.DOTALL)


def environment_file(text: str) -> dict[str, str]:
    """The variables of an EnvironmentFile, as systemd.exec(5) reads it: no export, expansion or trailing comment."""
    found = {}
    for line in text.replace("\\\n", "").splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith(("#", ";")):
            value = value.strip()
            found[key.strip()] = shlex.split(value)[0] if _QUOTED.fullmatch(value) else value
    return found


def _credentials(properties: Mapping[str, Any]) -> Iterator[tuple[str, str, bytes]]:
    """(id, where it comes from, content) of every credential; of one id the first counts, as in systemd."""
    seen: set[str] = set()
    defaults = {credential for setting in _CREDENTIALS[2:] for credential, _ in properties[setting]}
    for setting in _CREDENTIALS:
        for credential, given in properties[setting]:
            if setting.startswith("Load") and credential not in defaults:
                _refuse_absent(setting, credential, given)
            for name, label, content in _of_setting(setting, credential, given):
                if name not in seen:
                    seen.add(name)
                    yield name, label, content


def _of_setting(setting: str, credential: str, given: Any) -> Iterator[tuple[str, str, bytes]]:
    encrypted = setting.endswith("Encrypted")
    if setting.startswith("Set"):
        content = bytes(given)
        yield credential, f"{setting}={credential}", _decrypted(credential, content) if encrypted else content
        return
    path = _in_stores(given, encrypted=encrypted)
    if path is None:  # no credential, or the default that SetCredential= gives
        return
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        name = f"{credential}_{file.name}" if path.is_dir() else credential
        content = _read(file)
        yield name, f"{file} ({setting})", _decrypted(name, content) if encrypted else content


def _refuse_absent(setting: str, credential: str, given: str) -> None:
    if given.startswith("/") and _in_stores(given, encrypted=False) is None:
        fix = f"create {given}; until then systemd does not start the unit"
        raise Unreadable(f"{setting}={credential}:{given} does not exist", fix)


def _in_stores(given: str, *, encrypted: bool) -> Path | None:
    stores = [f"{store}.encrypted" for store in STORES] if encrypted else []
    places = [Path(given)] if given.startswith("/") else [Path(store, given) for store in (*stores, *STORES)]
    try:
        return next((place for place in places if place.exists()), None)
    except PermissionError:
        raise _forbidden(Path(given)) from None


def _decrypted(name: str, content: bytes) -> bytes:
    try:
        return _run("systemd-creds", "decrypt", f"--name={name}", "-", "-", stdin=content)
    except Unreadable as error:
        fix = (
            "run it as root"
            if os.geteuid()
            else "encrypt it again on this machine with `systemd-creds encrypt`"
        )
        raise Unreadable(f"the credential {name} cannot be decrypted: {error.problem}", fix) from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except PermissionError:
        raise _forbidden(file) from None
    except IsADirectoryError:
        raise Unreadable(f"{file} is a directory", "name a file in the unit") from None


def _forbidden(file: Path) -> Unreadable:
    return Unreadable(
        f"{file} cannot be read: Permission denied", "run it as root, which reads it for the unit"
    )


def _memory() -> str | None:
    """A directory in memory, so that no decrypted credential is written to a disk; None where there is none."""
    return next((place for place in ("/run", "/dev/shm") if os.access(place, os.W_OK)), None)  # noqa: S108
