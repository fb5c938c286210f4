"""From this machine to the hosts: region, proxy, names, connections, certificates.

These open sockets of their own, because a failed request shows only where it failed. No request is sent.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from queuetick.background import begin
from queuetick.check.result import Check, Evidence, Item, passed, skipped, worst
from queuetick.config.proxies import Proxy
from queuetick.exit_codes import ExitCode
from queuetick.genesys.connection_errors import STRICT_CODES, STRICT_FIX
from queuetick.genesys.org import Org

PATIENCE = 5.0
"""Seconds that a name, a connection or a handshake may take; the configured timeout where that is shorter."""

CERTIFICATE_DAYS = 14
"""Below so many days of validity left, a certificate is warned about."""

_EXPIRED, _NOT_YET_VALID = 10, 9
_WRONG_NAME = (62, 64)
_UNTRUSTED = (18, 19, 20, 21)
"""X.509 verification results of OpenSSL (openssl-verification-options(1))."""


class Target(Struct, frozen=True):
    """A host that the daemon talks to, and the proxy that it goes through."""

    role: str
    url: str
    proxy: Proxy | None

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        return self.parts.hostname or ""

    @property
    def port(self) -> int:
        return self.parts.port or (443 if self.parts.scheme == "https" else 80)

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def subject(self) -> str:
        """Host and port, as the check names the target."""
        return f"{self.host}:{self.port}"

    @property
    def key(self) -> str:
        """The setting that replaces the host."""
        return f"{self.role}_url"

    @property
    def encrypted(self) -> bool:
        return self.parts.scheme == "https"


def targets(org: Org) -> list[Target]:
    """The API and the login host; one target where both are the same."""
    where = org.hosts
    found = [Target("api", where.api_url, org.config.proxy_for(where.api_url))]
    login = Target("login", where.login_url, org.config.proxy_for(where.login_url))
    return (
        found
        if login.address == found[0].address and login.encrypted == found[0].encrypted
        else [*found, login]
    )


def region(org: Org) -> Check:
    where, genesys = org.hosts, org.config.genesys
    override = [key for key in ("api_url", "login_url") if getattr(genesys, key)]
    message = f"{genesys.region}: API {where.api_url}, login {where.login_url}"
    if override:
        message += f" (overridden by {' and '.join(override)})"
    return passed(
        "region",
        message,
        region=genesys.region,
        api_url=where.api_url,
        login_url=where.login_url,
        endpoint=genesys.endpoint,
    )


def _tried(subject: str, attempt: Callable[[], tuple[str, Evidence]], cause: str, fix: str) -> Item:
    """What `attempt` returns as a message with its evidence, or `cause` and the reason where it fails."""
    try:
        message, evidence = attempt()
    except OSError as error:
        return Item(subject, "fail", f"{cause}: {_words(error)}", fix)
    return Item(subject, "pass", message, evidence=evidence)


def proxy(found: list[Target], patience: float) -> Check:
    """Whether the proxy in force accepts connections; the values of its login never show."""
    proxies = dict.fromkeys(target.proxy for target in found if target.proxy is not None)
    if not proxies:
        return passed("proxy", "none: connections are direct")
    fix = "correct genesys.proxy or HTTPS_PROXY, or list the hosts in NO_PROXY if they are reached directly"

    def tried(proxy: Proxy) -> Item:
        def attempt() -> tuple[str, Evidence]:
            _connect((proxy.host, proxy.port), patience)
            return "the proxy accepts connections", {}

        return _tried(f"{proxy.host}:{proxy.port}", attempt, "the proxy accepts no connection", fix)

    return _gathered("proxy", map(tried, proxies))


def names(found: list[Target], patience: float) -> Check:
    """Whether the host names resolve, each within `patience` seconds."""
    direct = [target for target in found if target.proxy is None]
    if not direct:
        return skipped("dns", "the proxy resolves the names")

    def tried(target: Target) -> Item:
        def attempt() -> tuple[str, Evidence]:
            addresses = _resolve(target.address, patience)
            return ", ".join(addresses[:3]), {"addresses": addresses}

        fix = (
            f"check this machine's resolver (`getent hosts {target.host}`) and genesys.region or {target.key}"
        )
        return _tried(target.host, attempt, f"the host name of the {target.role} does not resolve", fix)

    return _gathered("dns", map(tried, direct))


def connections(found: list[Target], patience: float) -> Check:
    direct = [target for target in found if target.proxy is None]
    if not direct:
        return skipped("connection", "the proxy makes the connections")

    def tried(target: Target) -> Item:
        def attempt() -> tuple[str, Evidence]:
            began = time.monotonic()
            _connect(target.address, patience)
            taken = round(1000 * (time.monotonic() - began), 1)
            return f"connected in {taken:g} ms", {"milliseconds": taken}

        fix = f"let this machine reach TCP {target.subject} (firewall, routing), or set genesys.proxy"
        if target.url and not target.encrypted:
            fix = f"start what should listen there, or correct genesys.{target.key}"
        return _tried(target.subject, attempt, f"the {target.role} host accepts no connection", fix)

    return _gathered("connection", map(tried, direct))


def tls(found: list[Target], context: ssl.SSLContext, patience: float, *, now: float) -> Check:
    """Whether the certificates are trusted with the daemon's own CAs, and for how long. `now` is in epoch seconds."""
    encrypted = [target for target in found if target.encrypted]
    if not encrypted:
        return skipped("tls", "plain http to this machine")
    return _gathered("tls", [_handshake(target, context, patience, now) for target in encrypted])


def _handshake(target: Target, context: ssl.SSLContext, patience: float, now: float) -> Item:
    subject = target.subject
    if target.proxy is not None and target.proxy.scheme == "https":
        return Item(subject, "pass", "inside TLS to the proxy: the login will show it")
    connection = _tunnel(target, context, patience)
    try:
        connection.connect()
        certificate: dict[str, Any] = connection.sock.getpeercert() or {}
        version = connection.sock.version()
    except ssl.SSLCertVerificationError as error:
        return Item(
            subject,
            "fail",
            f"the certificate is not accepted: {error.verify_message}",
            _certificate_fix(error.verify_code, target),
            {"verify_code": error.verify_code},
        )
    except ssl.SSLError as error:
        fix = "check that this is the https port of the host, and that no firewall cuts TLS"
        return Item(subject, "fail", f"no TLS handshake: {error.reason or error}", fix)
    except OSError as error:
        return Item(subject, "fail", _words(error), _tunnel_fix(str(error)))
    except (http.client.HTTPException, ValueError):
        fix = "check that genesys.proxy or HTTPS_PROXY names an HTTP proxy and its port"
        return Item(subject, "fail", "what the proxy answers is no HTTP/1 answer", fix)
    finally:
        connection.close()
    days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - now) / 86400
    issuer = {key: value for pairs in certificate.get("issuer", ()) for key, value in pairs}
    by = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed CA"
    evidence = {
        "version": version,
        "issuer": by,
        "not_after": certificate["notAfter"],
        "days_left": round(days, 1),
    }
    message = f"{version}, certificate of {by}, {days:.0f} days left"
    if days < CERTIFICATE_DAYS:
        return Item(subject, "warn", message, f"have the certificate of {target.host} renewed", evidence)
    return Item(subject, "pass", message, evidence=evidence)


def _tunnel(target: Target, context: ssl.SSLContext, patience: float) -> http.client.HTTPSConnection:
    if target.proxy is None:
        return http.client.HTTPSConnection(target.host, target.port, timeout=patience, context=context)
    proxy = target.proxy
    connection = http.client.HTTPSConnection(proxy.host, proxy.port, timeout=patience, context=context)
    headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    connection.set_tunnel(target.host, target.port, headers)
    return connection


def _certificate_fix(code: int, target: Target) -> str:
    if code == _EXPIRED:
        return f"have the certificate of {target.host} renewed, or set this machine's clock if it is ahead"
    if code == _NOT_YET_VALID:
        return "set this machine's clock: it is behind the certificate's first day"
    if code in STRICT_CODES:
        return STRICT_FIX
    if code in _WRONG_NAME:
        return f"use the name that the certificate is made out to in {target.key}, or look for a proxy in between"
    if code in _UNTRUSTED:
        return (
            "set genesys.ca_bundle to a PEM file with the CA that signed it (often a company proxy's; see it with "
            f"`openssl s_client -showcerts -connect {target.host}:{target.port}`)"
        )
    return f"look at it with `openssl s_client -showcerts -connect {target.host}:{target.port}`"


def _tunnel_fix(error: str) -> str:
    if "407" in error:
        return "give the proxy's login in genesys.proxy or HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT"
    if "Tunnel" in error:
        return "have the proxy allow CONNECT to this host"
    return "check firewall and proxy between here and the host"


def _gathered(name: str, items: Iterable[Item]) -> Check:
    items = tuple(items)
    status = worst(items)
    alike = [item for item in items if item.status == status]
    bad = alike[0] if status != "pass" else None
    message = "; ".join(f"{item.subject}: {item.message}" for item in ([bad] if bad else items))
    if bad and len(alike) > 1:
        message = f"{len(alike)} hosts, first {message}"
    return Check(
        name,
        status,
        message,
        bad.fix if bad else None,
        evidence=bad.evidence if bad else {},
        items=items if len(items) > 1 else (),
        exit=ExitCode.TEMPFAIL,
    )


def _resolve(address: tuple[str, int], patience: float) -> list[str]:
    """Raises OSError. In a daemon thread, because nothing ends a DNS query that gets no answer."""
    asked = begin(lambda: socket.getaddrinfo(*address, type=socket.SOCK_STREAM), "queuetick-resolve")
    try:
        found = asked.result(patience)
    except TimeoutError:
        raise TimeoutError(f"no answer within {patience:g} s") from None
    except UnicodeError:
        raise OSError(None, "it is not a host name") from None
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def _connect(address: tuple[str, int], patience: float) -> None:
    _resolve(address, patience)
    socket.create_connection(address, timeout=patience).close()


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError) and not error.strerror:
        return "no answer in time" if "within" not in str(error) else str(error)
    return error.strerror or str(error) or type(error).__name__
