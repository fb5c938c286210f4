"""What a check may show to strangers: shapes of the answers and their headers, no name, no id, no number of the org.

Kept as they are: region, endpoint, HTTP status, error code, media type, metric, qualifier, limits of the API. All other
text becomes its kind (`string`, `uuid`, `date-time`), other numbers become `integer` or `number`, counts become ranges.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from queuetick import __version__
from queuetick.check.result import Check
from queuetick.config import Config
from queuetick.genesys.transport import Response
from queuetick.names import folded

MOST_PATHS = 400
"""Places of one answer that the report lists."""

MAP_KEYS = 60
"""An object with more keys than this is a map: its keys are not written."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KEY = re.compile(r"[a-z][A-Za-z0-9_]{0,39}")
_KINDS = (
    (_UUID, "uuid"),
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z?(/.*)?"), "date-time"),
    (re.compile(r"https?://.*", re.DOTALL), "url"),
    (re.compile(r"-?[0-9.]+"), "digits"),
    (re.compile(r""), "empty"),
)
_SHOWN_VALUES = {
    "metric": re.compile(r"[a-z][A-Za-z]{1,30}"),
    "qualifier": re.compile(r"[A-Z_]{2,30}"),
    "mediaType": re.compile(
        r"voice|chat|email|callback|message|cobrowse|screenshare|video|internalmessage|unknown"
    ),
    "code": re.compile(r"[a-z]+([._][a-z]+){1,8}"),
    "error": re.compile(r"[a-z]+(_[a-z]+){1,3}"),
    "token_type": re.compile(r"[Bb]earer"),
}
"""Values that belong to the API and not to the org, by their key."""

_NUMBER = re.compile(r"[0-9]{1,6}")
_BY_NAME = """
    age cache-control cf-ray content-length date etag expires inin-correlation-id keep-alive location pragma
    proxy-authenticate server set-cookie strict-transport-security vary via www-authenticate x-amz-cf-id x-amz-cf-pop
    x-cache x-content-type-options x-frame-options x-powered-by x-request-id x-xss-protection
""".split()  # noqa: SIM905 - a list of literals would take a line for each
_HEADERS: Mapping[str, re.Pattern[str] | None] = {
    "content-type": re.compile(r"[a-z]+/[a-z0-9.+-]+(; ?charset=[A-Za-z0-9-]+)?"),
    "content-encoding": re.compile(r"[a-z]{2,10}"),
    "transfer-encoding": re.compile(r"chunked"),
    "connection": re.compile(r"keep-alive|close", re.IGNORECASE),
    "retry-after": _NUMBER,
    **dict.fromkeys(("inin-ratelimit-allowed", "inin-ratelimit-count", "inin-ratelimit-reset"), _NUMBER),
    **dict.fromkeys(_BY_NAME),
}
"""Headers that the report names, and what a value must look like to be written."""


Noted = tuple[str, str, Response]
"""Method, URL and answer of a request."""


def shapes(answers: Sequence[Noted], private: Iterable[str]) -> list[dict[str, Any]]:
    """One entry for each request and status. Keys that are among `private` names are not written."""
    hidden = {folded(name) for name in private}
    groups: dict[tuple[str, int], list[Response]] = {}
    for method, url, response in answers:
        groups.setdefault((f"{method} {route(url)}", response.status), []).append(response)
    return [
        {
            "request": request,
            "status": status,
            "answers": bucket(len(responses)),
            "bytes": bucket(max(len(response.data) for response in responses)),
            "headers": _headers(responses),
            "body": _body(responses, hidden),
        }
        for (request, status), responses in groups.items()
    ]


def document(
    checks: Sequence[Check], config: Config | None, answers: Sequence[Noted], private: Iterable[str]
) -> dict[str, Any]:
    """The report. `private` are names that must not appear even as keys: of queues and divisions."""
    region = {"region": config.genesys.region, "endpoint": config.genesys.endpoint} if config else {}
    return {
        "queuetick": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "sdk": importlib.metadata.version("PureCloudPlatformClientV2"),
        "openssl": ssl.OPENSSL_VERSION,
        **region,
        "settings": sorted(config.origins) if config else [],
        "checks": [_check(check) for check in checks],
        "answers": shapes(answers, private),
    }


def _check(check: Check) -> dict[str, Any]:
    evidence = [check.evidence, *(item.evidence for item in check.items)]
    codes = {facts["code"] for facts in evidence if isinstance(facts.get("code"), str)}
    counts = {
        name: bucket(value)
        for name, value in check.evidence.items()
        if name in ("queues", "selected", "answered", "not_asked", "divisions", "batches")
    }
    return {
        "name": check.name,
        "status": check.status,
        "http": sorted({facts["status"] for facts in evidence if isinstance(facts.get("status"), int)}),
        "codes": sorted(code for code in codes if _SHOWN_VALUES["code"].fullmatch(code)),
        "findings": {
            status: bucket(sum(item.status == status for item in check.items))
            for status in sorted({item.status for item in check.items})
        },
        "counts": counts,
    }


def bucket(count: int) -> str:
    """A count as a range: 0, 1, 2..9, 10..99, and so on."""
    if count < 2:
        return str(max(count, 0))
    digits = len(str(count))
    return f"{2 if digits == 1 else 10 ** (digits - 1)}..{10**digits - 1}"


def route(url: str) -> str:
    """The path without ids and without what a gateway puts before it, and the names of the query's parameters."""
    parts = urlsplit(url)
    match = re.search(r"/(api/v2/[a-z]|oauth/token$).*", parts.path)
    if match is None:
        return "(other)"
    path = "/".join(part if re.fullmatch(r"[a-z0-9]{0,30}", part) else "{id}" for part in match[0].split("/"))
    names = sorted(name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if _KEY.fullmatch(name))
    return f"{path}?{'&'.join(names)}" if names else path


def _headers(responses: Sequence[Response]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for response in responses:
        for name, value in response.headers.items():
            known = name.lower() if name.lower() in _HEADERS else "(other)"
            pattern = _HEADERS.get(known)
            values = found.setdefault(known, set())
            if pattern is not None:
                values.add(value if pattern.fullmatch(value) else "(other)")
    return {name: sorted(values) for name, values in sorted(found.items())}


def _body(responses: Sequence[Response], hidden: set[str]) -> dict[str, list[str]] | str:
    paths: dict[str, set[str]] = {}
    for response in responses:
        if not response.data:
            paths.setdefault("", set()).add("empty")
            continue
        try:
            content = json.loads(response.data)
        except (ValueError, RecursionError):
            kind = "HTML" if response.data.lstrip()[:1] == b"<" else "text or bytes"
            paths.setdefault("", set()).add(f"no JSON: {kind}")
        else:
            _walk(content, "", "", paths, hidden)
    return {path: sorted(kinds) for path, kinds in sorted(paths.items())}


def _walk(value: Any, path: str, key: str, paths: dict[str, set[str]], hidden: set[str]) -> None:
    if len(paths) >= MOST_PATHS and path not in paths:
        return
    kinds = paths.setdefault(path, set())
    if isinstance(value, dict):
        kinds.add("object")
        for name, inner in value.items():
            shown = name if len(value) <= MAP_KEYS and _is_key(name, hidden) else "{key}"
            _walk(inner, f"{path}.{shown}".lstrip("."), shown, paths, hidden)
    elif isinstance(value, list):
        kinds.add(f"list of {bucket(len(value))}")
        for inner in value:
            _walk(inner, f"{path}[]", key, paths, hidden)
    else:
        kinds.add(_kind(value, key, hidden))


def _is_key(name: str, hidden: set[str]) -> bool:
    return _KEY.fullmatch(name) is not None and folded(name) not in hidden


def _kind(value: Any, key: str, hidden: set[str]) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    shown = _SHOWN_VALUES.get(key)
    if shown is not None and shown.fullmatch(value) and folded(value) not in hidden:
        return f"string {value}"
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(value)), "string")
