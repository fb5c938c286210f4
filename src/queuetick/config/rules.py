"""What a well-typed configuration must hold beyond its types: hosts, ids, files, and what belongs together."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from queuetick.config.settings import Config
from queuetick.events import ConfigWarning, Problem

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOST = re.compile(r"[\w.:-]+")

LOW_INTERVAL = 10
"""Seconds; below it the API's fair use suffers and a warning is written."""


def is_loopback(host: str | None) -> bool:
    """Whether `host` can only be this machine."""
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_rules(config: Config, regions: Mapping[str, str]) -> list[Problem]:
    """Every rule that `config` breaks. `regions` maps known region names to API hosts."""
    return [
        *_region(config.genesys.region, regions),
        *_url("genesys.api_url", config.genesys.api_url),
        *_url("genesys.login_url", config.genesys.login_url),
        *_proxy(config),
        *_ca_bundle(config.genesys.ca_bundle),
        *_ids(config.queues.ids),
        *_selection(config),
        *_output(config.output.path),
        *_listen(config.metrics.listen),
    ]


def check_warnings(config: Config) -> list[ConfigWarning]:
    """Settings that work but that their owner may regret."""
    warnings = []
    if config.poll.interval < LOW_INTERVAL:
        warnings.append(
            ConfigWarning(
                key="poll.interval",
                problem=f"{config.poll.interval:g} s is under {LOW_INTERVAL} s: observations hardly change that fast",
                fix="set 15, unless the server is your own",
            )
        )
    if len({queue_id.lower() for queue_id in config.queues.ids}) < len(config.queues.ids):
        warnings.append(
            ConfigWarning(
                key="queues.ids", problem="an id stands there twice; it is polled once", fix="remove one"
            )
        )
    return warnings


def _region(region: str, regions: Mapping[str, str]) -> Iterator[Problem]:
    if region in regions:
        return
    domain = region.removeprefix("api.")
    by_domain = [name for name, host in regions.items() if "." in domain and host.endswith(f".{domain}")]
    hint = f"use {by_domain[0]!r}, the region of that domain" if by_domain else "use one of the known regions"
    yield Problem(
        "genesys.region",
        f"{region!r} is not a Genesys Cloud region",
        f"{hint}; known: {', '.join(sorted(regions))}",
    )


def _url(key: str, url: str | None) -> Iterator[Problem]:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        yield Problem(key, "is not a URL", "write https://HOST or https://HOST:PORT/PATH")
        return
    if parts.scheme not in ("http", "https") or not _is_host(host):
        yield Problem(
            key, f"{_shown(url)} is not an http(s) URL", "write https://HOST or https://HOST:PORT/PATH"
        )
    elif parts.username or parts.password or parts.query or parts.fragment:
        yield Problem(key, "carries a login, a query or a fragment", "leave only https://HOST:PORT/PATH")
    elif parts.scheme == "http" and not is_loopback(host):
        yield Problem(
            key,
            f"plain http to {host} would send the credentials unprotected",
            "use https; plain http is for loopback only (127.0.0.1, ::1, localhost)",
        )


def _is_host(host: str | None) -> bool:
    """Whether `host` can be a host name (also one beyond ASCII) or an address."""
    return host is not None and _HOST.fullmatch(host) is not None


def _shown(url: str) -> str:
    return repr(url) if "@" not in url else "it"


def _proxy(config: Config) -> Iterator[Problem]:
    proxy = config.genesys.proxy
    if proxy is None:
        return
    try:
        parts = urlsplit(proxy)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not _is_host(host) or parts.scheme not in ("http", "https"):
        yield Problem("genesys.proxy", "is not an http(s) URL", "write http://HOST:PORT")
        return
    plain = [
        url for url in (config.genesys.api_url, config.genesys.login_url) if url and url.startswith("http:")
    ]
    if plain and not is_loopback(host):
        yield Problem(
            "genesys.proxy",
            "would carry plain http, and with it the credentials, to another machine",
            "use https in api_url and login_url, or no proxy",
        )


def _ca_bundle(path: str | None) -> Iterator[Problem]:
    if path is None:
        return
    try:
        text = Path(path).read_text(encoding="ascii", errors="replace")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        yield Problem(
            "genesys.ca_bundle", f"{path!r:.200} cannot be read: {reason}", "name a readable PEM file"
        )
        return
    if "-----BEGIN CERTIFICATE-----" not in text:
        yield Problem(
            "genesys.ca_bundle", f"{path} holds no PEM certificate", "name a PEM file with the CAs to trust"
        )
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        yield Problem(
            "genesys.ca_bundle",
            f"{path} holds a certificate that cannot be read ({error.reason or error})",
            "copy it again, whole, from BEGIN to END CERTIFICATE",
        )


def _ids(ids: tuple[str, ...]) -> Iterator[Problem]:
    for index, queue_id in enumerate(ids):
        if not _UUID.fullmatch(queue_id):
            yield Problem(
                f"queues.ids[{index}]",
                f"{queue_id[:60]!r} is not a UUID",
                "copy the id from `queuetick queues --toml` or from the queue's URL in Genesys Cloud",
            )


def _selection(config: Config) -> Iterator[Problem]:
    if not config.queues.ids and not config.queues.name_globs:
        yield Problem(
            "queues", "ids and names are both empty: nothing to poll", 'set names = ["*"], or list ids'
        )


def _output(path: str) -> Iterator[Problem]:
    if "\0" in path:
        yield Problem("output.path", "holds a NUL character, which no path may", "set another path")
        return
    try:
        exists = path == "-" or Path(path).parent.is_dir()
    except OSError as error:
        yield Problem("output.path", f"cannot be a path: {error.strerror}", "set another path")
        return
    if not exists:
        yield Problem(
            "output.path", f"the directory {Path(path).parent} does not exist", "make it, or set another path"
        )


def _listen(listen: str | None) -> Iterator[Problem]:
    if listen is None:
        return
    host, _, port = listen.rpartition(":")
    if not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        yield Problem("metrics.listen", f"{listen!r:.60} is not host:port", "write it like 127.0.0.1:9477")
    elif host.startswith("[") != host.endswith("]") or (":" in host and not host.startswith("[")):
        yield Problem(
            "metrics.listen", f"{listen!r} leaves open where the port begins", "write it like [::1]:9477"
        )
