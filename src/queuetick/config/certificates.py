"""PEM files: the CAs that are trusted, and what the metrics port shows and asks for."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from queuetick.config.settings import ConfigError, Metrics
from queuetick.config.sources import Unreadable, read_bytes
from queuetick.events import Problem

_CERTIFICATE, _KEY = "BEGIN CERTIFICATE-----", "PRIVATE KEY-----"


def server_context(metrics: Metrics) -> ssl.SSLContext | None:
    """TLS 1.2 and later for the metrics port; None without a certificate.

    Raises ConfigError where a file has changed since `check_server` tried it.
    """
    if metrics.tls_cert is None:
        return None
    try:
        context = _with_certificate(metrics)
        if metrics.tls_client_ca is not None:
            context.load_verify_locations(metrics.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        fix = "set the PEM files of a certificate, of its key without a passphrase, and of the clients' CAs"
        problem = f"or another metrics.tls file cannot be used: {error}"
        raise ConfigError([Problem("metrics.tls_cert", problem, fix)]) from None
    return context


def _with_certificate(metrics: Metrics) -> ssl.SSLContext:
    """Raises OSError, ValueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    assert metrics.tls_cert is not None  # noqa: S101 - the callers have looked
    context.load_cert_chain(metrics.tls_cert, metrics.tls_key, password="")  # "": never ask the terminal
    return context


def check_trusted(key: str, path: str | None) -> list[Problem]:
    """The rules of a file with certificates of CAs."""
    if path is None:
        return []
    if problems := [*_pem(key, path, _CERTIFICATE, "name a PEM file with the CAs to trust")]:
        return problems
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (ValueError, OSError) as error:
        problem = f"{path} has a certificate that cannot be read ({_reason(error)})"
        return [Problem(key, problem, "copy it again, whole, from BEGIN to END CERTIFICATE")]
    return []


def check_server(metrics: Metrics) -> list[Problem]:
    """The rules of `metrics.tls_*`."""
    problems = check_trusted("metrics.tls_client_ca", metrics.tls_client_ca)
    if metrics.tls_cert is None:
        known = {problem.key for problem in problems}
        return problems + [
            Problem(key, "is set without metrics.tls_cert", "set metrics.tls_cert too, or remove it")
            for key, path in (
                ("metrics.tls_key", metrics.tls_key),
                ("metrics.tls_client_ca", metrics.tls_client_ca),
            )
            if path is not None and key not in known
        ]
    if metrics.tls_key is None:
        fix = "set metrics.tls_key to the PEM file with its key"
        return [*problems, Problem("metrics.tls_cert", "is set without metrics.tls_key", fix)]
    own = [
        *_pem(
            "metrics.tls_cert",
            metrics.tls_cert,
            _CERTIFICATE,
            "name a PEM file with the server's certificate",
        ),
        *_pem("metrics.tls_key", metrics.tls_key, _KEY, "name the PEM file with the certificate's key"),
    ]
    if not own:
        try:
            _with_certificate(metrics)
        except (ValueError, OSError) as error:
            problem = f"{metrics.tls_cert} and {metrics.tls_key} cannot be used together ({_reason(error)})"
            fix = "name a certificate and its own key, which must not be encrypted"
            own = [Problem("metrics.tls_cert", problem, fix)]
    return problems + own


def _pem(key: str, path: str, mark: str, fix: str) -> Iterator[Problem]:
    """What is wrong with a file that must be PEM and have `mark` in it."""
    problem = None
    try:
        if mark not in read_bytes(Path(path)).decode("ascii", "replace"):
            yield Problem(key, f"{path} has no PEM {'certificate' if mark is _CERTIFICATE else 'key'}", fix)
    except (FileNotFoundError, NotADirectoryError) as error:
        problem = f"cannot be read: {error.strerror}"
    except Unreadable as error:
        problem = error.problem
    if problem is not None:
        yield Problem(key, f"{path!r:.200} {problem}", "name a readable PEM file")


def _reason(error: Exception) -> object:
    return getattr(error, "reason", None) or error
