"""One rule for the proxies of every source: `genesys.proxy`, HTTPS_PROXY in the environment, HTTPS_PROXY in `.env`."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from msgspec import Struct

from queuetick.config.hosts import ascii_host, join_address, split_address
from queuetick.events import Problem
from queuetick.names import matches

HTTPS_PROXY = ("https_proxy", "HTTPS_PROXY")
NO_PROXY = ("no_proxy", "NO_PROXY")
"""Variables in their order: the first that is not empty counts."""

_PORTS = {"http": 80, "https": 443}


class Proxy(Struct, frozen=True):
    """A proxy whose URL is valid. Its login does not show in a repr."""

    url: str
    """scheme://HOST:PORT, with the host in ASCII and without the login."""
    https_only: bool = False
    """Whether it serves requests for https URLs only, as HTTPS_PROXY does."""
    authorization: str | None = None
    """Value of the Proxy-Authorization header, where the URL has a login."""

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def host(self) -> str:
        """Name or address, an IPv6 address without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or _PORTS[self.scheme]

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"


def parse_proxy(key: str, text: str, *, https_only: bool) -> Proxy | Problem:
    """The proxy that `text` names, or what is wrong with it; no problem shows `text`, which may hold a password.

    `text` is a URL; without a scheme it is http, as other tools read it.
    """
    scheme, _, rest = text.partition("://") if "://" in text else ("http", "", text)
    scheme = scheme.lower()
    if scheme.startswith("socks"):
        return Problem(
            key, "is a SOCKS proxy, which queuetick cannot use", "set an HTTP proxy: http://HOST:PORT"
        )
    if scheme not in _PORTS or not rest or rest.startswith("/"):
        return Problem(key, "is not an http(s) URL", "write http://HOST:PORT")
    login, at, address = rest.rpartition("@")
    if at and not re.fullmatch(r"[!-~]*", login):
        return Problem(key, "has a login with a character beyond ASCII, or white space", _ENCODE)
    if found := next((c for c in "/#?@[]\\" if c in login), None):
        return Problem(key, f"has a login with a bare {found!r}", _ENCODE)
    address = address.removesuffix("/")
    if any(c in address for c in "/?#"):
        return Problem(key, "carries a path, a query or a fragment", "leave only http://HOST:PORT")
    try:
        host, port = split_address(address)
    except ValueError as error:
        return Problem(key, f"is not an http(s) URL: {error}", "write http://HOST:PORT")
    return Proxy(
        f"{scheme}://{join_address(host, port or _PORTS[scheme])}",
        https_only=https_only,
        authorization=_basic(login) if at and login else None,
    )


_ENCODE = "percent-encode it: %2F for /, %23 for #, %3F for ?, %40 for @, %C3%A9 for \u00e9"


def _basic(login: str) -> str:
    user, _, password = login.partition(":")
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return "Basic " + base64.b64encode(pair).decode("ascii")


def proxy_secrets(text: str) -> list[str]:
    """Every string of a proxy's URL that must not be printed: password and login, encoded and decoded.

    `text` may be an invalid URL.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")  # a surrogate cannot be percent-encoded
    rest = text.partition("://")[2] or text
    login, at, _ = rest.rpartition("@")
    password = login.partition(":")[2]
    if not at or not password:
        return []
    spelled = [password, unquote(password), login, unquote(login), _basic(login).removeprefix("Basic ")]
    return list(dict.fromkeys([*spelled, *(quote(part, safe="") for part in spelled[:4])]))


def without_login(text: str) -> str:
    """Mask everything before the last @ of a proxy's URL."""
    if "@" not in text:
        return text
    scheme, separator, _ = text.partition("://")
    prefix = f"{scheme}{separator}" if scheme.lower() in _PORTS else ""
    return f"{prefix}***@{text.rpartition('@')[2]}"


def no_proxy_patterns(text: str) -> tuple[str, ...]:
    """The entries of NO_PROXY, which commas or white space separate."""
    return tuple(entry for entry in re.split(r"[\s,]+", text) if entry)


def bypasses(patterns: Iterable[str], url: str) -> bool:
    """Whether some pattern of NO_PROXY covers the host of `url`, so that it is asked without a proxy.

    A pattern is `*`, a name (which covers the names below it too, as do `.name` and `*.name`), a name with `*` in it,
    an address, or a network such as 10.0.0.0/8; each may carry a port.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or _PORTS.get(parts.scheme)
    return any(_covers(pattern.strip().lower(), host, port) for pattern in patterns)


def _covers(pattern: str, host: str, port: int | None) -> bool:
    if pattern == "*":
        return True
    if (network := _network(pattern)) is None:
        name, colon, its_port = pattern.rpartition(":")
        if colon and its_port.isdecimal():
            if int(its_port) != port:
                return False
            pattern = name
            network = _network(pattern)
    if network is not None:
        try:
            return ipaddress.ip_address(host) in network
        except ValueError:
            return False
    name = pattern.removeprefix("*").strip(".")
    if "*" in name:
        return matches(pattern, host)
    try:
        name = ascii_host(name)
    except ValueError:
        return False
    return host == name or host.endswith(f".{name}")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.removeprefix("[").removesuffix("]"), strict=False)
    except ValueError:
        return None
