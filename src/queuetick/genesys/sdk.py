"""The official SDK, loaded lean, without what it does on import.

`import PureCloudPlatformClientV2` runs an `__init__` that loads all 6,650 models (3.6 s, 216 MB), reads
`~/.genesyscloudpython/config` (which can change the host) and watches the home directory. Here the package and its
`models` and `apis` are registered without running their `__init__`; names in them are imported when first used.
Should a future SDK not allow that, the plain import is the fallback, and `Sdk.fallback` says why.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import logging
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

from msgspec import Struct

PACKAGE = "PureCloudPlatformClientV2"


class Sdk(Struct, frozen=True):
    """The parts of the SDK that queuetick uses."""

    ApiClient: Any
    AbstractHttpClient: Any
    HttpRequestOptions: Any
    region_hosts: dict[str, str]
    fallback: str | None
    """Why the lean load was given up; None when it worked."""


class SdkMissing(Exception):
    """PureCloudPlatformClientV2 is not installed in this environment."""


@functools.cache
def load(*, lean: bool = True) -> Sdk:
    """Load the SDK once per process; `lean` False asks for the plain import.

    Raises SdkMissing when the package is not installed.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise SdkMissing(f"{PACKAGE} is not installed: pip install {PACKAGE}")
    if lean:
        try:
            _register_lean()
            return _collect(fallback=None)
        except Exception as error:  # noqa: BLE001 - whatever a future SDK breaks, the plain import is still there
            for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
                del sys.modules[name]
            reason = f"{type(error).__name__}: {error}"
    else:
        reason = "asked for"
    _import_plain()
    return _collect(fallback=reason)


def region_hosts() -> dict[str, str]:
    """The SDK's region table: region name to API URL, such as us-east-1 to https://api.mypurecloud.com."""
    return load().region_hosts


def _collect(*, fallback: str | None) -> Sdk:
    configuration = importlib.import_module(f"{PACKAGE}.configuration")
    try:
        _silence(configuration)
    except Exception:
        if fallback is None:
            raise
        # The plain import already kept it from file and watcher; only a later change of its path could wake it.
    for name in ("urllib3", "watchdog"):  # the SDK's Logger mutes them for the whole process
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)
    hosts = importlib.import_module(f"{PACKAGE}.purecloud_region_hosts").PureCloudRegionHosts
    return Sdk(
        ApiClient=importlib.import_module(f"{PACKAGE}.api_client").ApiClient,
        AbstractHttpClient=importlib.import_module(f"{PACKAGE}.abstract_http_client").AbstractHttpClient,
        HttpRequestOptions=importlib.import_module(f"{PACKAGE}.http_request_options").HttpRequestOptions,
        region_hosts={region.name.replace("_", "-"): region.get_api_host() for region in hosts},
        fallback=fallback,
    )


def _register_lean() -> None:
    """Put the package and its two large sub-packages into sys.modules without executing them."""
    if PACKAGE in sys.modules:
        return  # somebody imported it plainly: use what is there
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{PACKAGE} is not a package")
    root = Path(next(iter(spec.submodule_search_locations)))
    for name, folder in (
        (PACKAGE, root),
        (f"{PACKAGE}.models", root / "models"),
        (f"{PACKAGE}.apis", root / "apis"),
    ):
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        module.__spec__ = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        module.__getattr__ = _on_demand(name, folder)  # type: ignore[method-assign]
        sys.modules[name] = module
        if parent := sys.modules.get(name.rpartition(".")[0]):
            setattr(parent, name.rpartition(".")[2], module)


def _on_demand(package: str, folder: Path) -> Any:
    """A module `__getattr__` that imports a class from where the package's own `__init__` says it is."""

    @functools.cache
    def index() -> dict[str, str]:
        text = (folder / "__init__.py").read_text(encoding="utf-8")
        return {
            name: module for module, name in re.findall(r"^from \.(\S+) import (\w+)", text, re.MULTILINE)
        }

    def get(name: str) -> Any:
        if name.startswith("__") or name not in index():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{index()[name]}"), name)

    return get


def _silence(configuration: types.ModuleType) -> None:
    """Keep the SDK's Configuration singleton from reading its file, and from its thread, its watcher and its log.

    `Configuration` is a function that closes over the class (configuration.py, `singleton`).
    """
    hidden = inspect.getclosurevars(configuration.Configuration).nonlocals["cls"]
    for name in ("_update_config_from_file", "_run_observer", "_config_updater"):
        if not hasattr(hidden, name):
            raise ImportError(f"{PACKAGE}.configuration has no {name}")
        setattr(hidden, name, lambda self: None)  # noqa: ARG005
    configuration.Configuration().logger = _MuteLogger()


class _MuteLogger:
    """Replaces the SDK's own log, which formats every request and answer at every level."""

    def trace(self, *_args: Any) -> None: ...
    def debug(self, *_args: Any) -> None: ...
    def error(self, *_args: Any) -> None: ...


def _import_plain() -> None:
    """Import the whole SDK; while it does, it finds no home directory to read and no Observer to watch with."""
    observers: Any = importlib.import_module("watchdog.observers")
    home, observer = os.environ.get("HOME"), observers.Observer
    os.environ["HOME"] = "/nonexistent"
    observers.Observer = _InertObserver
    try:
        importlib.import_module(PACKAGE)
    finally:
        observers.Observer = observer
        if home is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = home


class _InertObserver:
    """Replaces watchdog's Observer, which would watch the home directory, recursively."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def join(self) -> None: ...
    def unschedule_all(self) -> None: ...
    def schedule(self, *_args: Any, **_options: Any) -> None: ...
