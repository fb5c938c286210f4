"""Host names and addresses, as URLs, proxies and NO_PROXY spell them."""

from __future__ import annotations

import ipaddress
import re

_NAME = re.compile(r"(?=.{1,253}\.?$)(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")


def ascii_host(host: str) -> str:
    """`host` as DNS and TLS have it: lower case, and IDNA where it goes beyond ASCII; an IPv6 address without brackets.

    Raises ValueError where `host` can be neither a name nor an address.
    """
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    if not host.isascii():
        import idna

        host = idna.encode(host, uts46=True).decode("ascii")
    host = host.lower()
    if not _NAME.fullmatch(host):
        raise ValueError("it is not a host name")
    if host.rstrip(".").rpartition(".")[2].isdigit():
        return str(ipaddress.IPv4Address(host))
    return host


def split_address(text: str) -> tuple[str, int | None]:
    """Split HOST, HOST:PORT, [IPv6] or [IPv6]:PORT into host (as `ascii_host`) and port.

    Raises ValueError, whose text says what is wrong without showing `text`.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            raise ValueError("its IPv6 address is not written [ADDRESS]:PORT")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = text.partition(":")
        if ":" in port:
            raise ValueError("its IPv6 address needs brackets")
    try:
        host = ascii_host(host)
    except ValueError:
        raise ValueError("its host is neither a name nor an address") from None
    if not colon:
        return host, None
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError("its port is not a number from 1 to 65535")
    return host, int(port)


def join_address(host: str, port: int | None) -> str:
    """The reverse of `split_address`."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def ascii_url(url: str) -> str:
    """`url` with its host as `ascii_host` has it. Raises ValueError where host or port are invalid."""
    scheme, separator, rest = url.partition("://")
    end = min((index for index in map(rest.find, "/?#") if index >= 0), default=len(rest))
    login, at, address = rest[:end].rpartition("@")
    return f"{scheme.lower()}{separator}{login}{at}{join_address(*split_address(address))}{rest[end:]}"


def is_loopback(host: str | None) -> bool:
    """Whether `host` can only be this machine."""
    if not host:
        return False
    try:
        host = ascii_host(host)
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
