"""Rules beyond types: hosts, ids, files, limits, and settings that need each other."""

from __future__ import annotations

import math
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from queuetick.config.certificates import check_server, check_trusted
from queuetick.config.hosts import ascii_host, is_loopback
from queuetick.config.proxies import Proxy
from queuetick.config.settings import Config
from queuetick.events import ConfigWarning, Problem
from queuetick.events.thresholds import Limits, Threshold, parse_hours, time_zone

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_QUOTES = "\"'`\u00b4\u00ab\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a"

MOST_ORG = 64
"""Characters of genesys.org, which is in every line."""

LOW_INTERVAL = 10
"""Seconds; below it the API's fair use suffers and a warning is written."""


def check_rules(config: Config, regions: Mapping[str, str]) -> list[Problem]:
    """Every rule that `config` breaks. `regions` maps known region names to API hosts."""
    return [
        *_org(config.genesys.org),
        *_region(config.genesys.region, regions),
        *_url("genesys.api_url", config.genesys.api_url),
        *_url("genesys.login_url", config.genesys.login_url),
        *_plain_http(config),
        *check_trusted("genesys.ca_bundle", config.genesys.ca_bundle),
        *_ids(config.queues.ids),
        *_selection(config),
        *_output(config.output.path),
        *_stats(config.stats.timezone),
        *_listen(config.metrics.listen),
        *check_server(config.metrics),
        *(
            problem
            for index, table in enumerate(config.thresholds)
            for problem in check_threshold(f"thresholds[{index}]", table)
        ),
    ]


def check_secret(variable: str, secret: str) -> Iterator[Problem]:
    """What came along when `secret` was copied: quotes, white space, invisible characters. Never shows the secret."""
    strange = [c for c in secret if not ("!" <= c <= "~")]
    invisible = [c for c in strange if unicodedata.category(c) in ("Cf", "Mn", "Co", "Cn")]
    if secret.startswith(f"{variable}="):
        problem = "begins with its own name"
    elif any("\ud800" <= c <= "\udfff" for c in secret):
        problem = "is not UTF-8 text"
    elif secret[0] in _QUOTES or secret[-1] in _QUOTES:
        problem = "has quotes around it"
    elif invisible:
        code = ord(invisible[0])
        problem = (
            f"has an invisible character in it (U+{code:04X} {unicodedata.name(invisible[0], '')}".rstrip()
            + ")"
        )
    elif any(c.isspace() for c in strange):
        problem = "has white space or a line break in it"
    elif strange:
        problem = "has a character in it that is not ASCII, or a control character"
    else:
        return
    yield Problem(variable, problem, "copy the bare value again from Genesys Cloud, and nothing around it")


def check_warnings(config: Config) -> list[ConfigWarning]:
    """Settings that work but may cause trouble."""
    warnings = [*config.hints]
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
                key="queues.ids", problem="an id is listed twice; it is polled once", fix="remove one"
            )
        )
    return warnings


def _org(org: str | None) -> Iterator[Problem]:
    if org is None:
        return
    if not org.strip() or org != org.strip() or len(org) > MOST_ORG or not org.isprintable():
        yield Problem(
            "genesys.org",
            f"{org!r:.80} is not a name of 1 to {MOST_ORG} printable characters on one line",
            'write a short name such as "emea", without white space around it',
        )


def _region(region: str, regions: Mapping[str, str]) -> Iterator[Problem]:
    if region in regions:
        return
    lowered = region.lower()
    host = re.split(r"[/:?#]", re.sub(r"^[a-z]*://", "", lowered))[0]
    by_domain = [
        name
        for name, api in regions.items()
        for domain in (api.partition("//api.")[2],)
        if domain and (host == domain or host.endswith(f".{domain}"))
    ]
    spelled = re.sub(r"[\s_]+", "-", lowered)
    if by_domain:
        hint = f"use {by_domain[0]!r}, the region of that domain"
    elif spelled in regions:
        hint = f"use {spelled!r}"
    else:
        hint = "use the region of your organisation"
    yield Problem(
        "genesys.region",
        f"{region!r:.80} is not a Genesys Cloud region",
        f"{hint}; known: {', '.join(sorted(regions))}",
    )


def _url(key: str, url: str | None) -> Iterator[Problem]:
    if url is None:
        return
    fix = "write https://HOST or https://HOST:PORT/PATH"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        yield Problem(key, "is not a URL", fix)
        return
    if port == 0:
        yield Problem(key, "is not a URL", fix)
    elif parts.scheme not in ("http", "https") or not _is_host(host) or not _one_word(url):
        yield Problem(key, f"{_shown(url)} is not an http(s) URL", fix)
    elif "@" in parts.netloc or "?" in url or "#" in url:
        yield Problem(key, "carries a login, a query or a fragment", "leave only https://HOST:PORT/PATH")
    elif not parts.path.isascii():
        yield Problem(key, "has a path beyond ASCII", "percent-encode the path")
    elif parts.scheme == "http" and not is_loopback(host):
        yield Problem(
            key,
            f"plain http to {host} would send the credentials unprotected",
            "use https; plain http is for loopback only (127.0.0.1, ::1, localhost)",
        )


def _is_host(host: str | None) -> bool:
    """Whether `host` can be a host name (also one beyond ASCII) or an address."""
    try:
        return bool(host and ascii_host(host))
    except ValueError:
        return False


def _one_word(url: str) -> bool:
    return url.isprintable() and not any(c.isspace() or c == "\\" for c in url)


def _shown(url: str) -> str:
    return f"{url!r:.200}" if "@" not in url else "it"


def _plain_http(config: Config) -> Iterator[Problem]:
    proxy: Proxy | None = config.proxy
    if proxy is None or proxy.https_only or is_loopback(proxy.host):
        return
    urls = (config.genesys.api_url, config.genesys.login_url)
    if any(url and url.startswith("http:") for url in urls):
        yield Problem(
            "genesys.proxy",
            "would carry plain http, and with it the credentials, to another machine",
            "use https in api_url and login_url, or no proxy",
        )


def _stats(timezone: str) -> Iterator[Problem]:
    try:
        time_zone(timezone)
    except ValueError as error:
        yield Problem("stats.timezone", str(error), "name an IANA zone such as Europe/Berlin")


def check_threshold(key: str, table: Threshold) -> Iterator[Problem]:
    """Every rule that the table named `key` breaks."""
    if not table.names:
        yield Problem(f"{key}.names", "is empty: it selects no queue", 'remove it, or write ["*"]')
    for medium in table.media:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", medium):
            fix = "write it as the lines do: voice, chat, email, callback, message"
            yield Problem(f"{key}.media", f"{medium!r:.60} is not a media type", fix)
            break
    for name in ("waiting", "longest_wait"):
        limits: Limits | None = getattr(table, name)
        pair = limits if isinstance(limits, tuple) else (limits, limits)
        if limits is not None and not all(0 <= limit < math.inf for limit in pair if limit is not None):
            yield Problem(f"{key}.{name}", "has a limit that is not a number from 0 up", "write 0 or more")
        elif isinstance(limits, tuple) and limits[0] > limits[1]:
            yield Problem(
                f"{key}.{name}", f"warns at {limits[0]:g}, above its critical {limits[1]:g}", "swap the two"
            )
    if table.hours is not None:
        try:
            parse_hours(table.hours)
        except ValueError as error:
            fix = 'write it like "Mon-Fri 08:00-18:00 Europe/Berlin"'
            yield Problem(f"{key}.hours", f"is invalid: {error}", fix)


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
        yield Problem("output.path", "has a NUL character, which no path can have", "set another path")
        return
    try:  # not Path.is_dir(): since Python 3.14 it hides why a path cannot be one
        exists = path == "-" or stat.S_ISDIR(Path(path).parent.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        exists = False
    except OSError as error:
        yield Problem("output.path", f"cannot be a path: {error.strerror}", "set another path")
        return
    if path != "-" and exists and Path(path).is_dir():
        yield Problem("output.path", f"{path} is a directory", "name a file in it")
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
            "metrics.listen", f"{listen!r} needs brackets around its IPv6 address", "write it like [::1]:9477"
        )
