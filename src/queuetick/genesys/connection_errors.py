"""What went wrong with a connection, in a sentence for a person."""

from __future__ import annotations

import http.client
import socket
import ssl

import urllib3

STRICT_CODES = range(80, 94)
"""OpenSSL's X509_V_ERR codes of the checks that VERIFY_X509_STRICT adds, which Python 3.13 sets by default."""

STRICT_FIX = (
    "have the CA or the company proxy issue a new one with that extension, or run queuetick on Python 3.12"
)
"""What to do about a certificate that such a check refuses."""


def is_timeout(error: Exception) -> bool:
    """Whether time ran out, before or after a connection was there."""
    # NewConnectionError is a ConnectTimeoutError by descent only: it says refused, unreachable, unresolved.
    timeouts = (urllib3.exceptions.TimeoutError, TimeoutError)
    return isinstance(error, timeouts) and not isinstance(error, urllib3.exceptions.NewConnectionError)


def describe(error: Exception) -> str:
    """A sentence for a connection error, without urllib3's object addresses."""
    cause: BaseException = error
    while (inner := _inner(cause)) is not None:
        cause = inner
    if isinstance(cause, ssl.SSLCertVerificationError):
        return describe_certificate(cause.verify_code, cause.verify_message)
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or cause}"
    if isinstance(cause, socket.gaierror):
        return f"the host name does not resolve ({cause.strerror})"
    if isinstance(cause, http.client.BadStatusLine) and not isinstance(cause, ConnectionError):
        return "connection failed: the answer is no HTTP/1 answer"
    if isinstance(cause, OSError) and cause.strerror:
        return f"connection failed: {cause.strerror}"
    text = str(cause).partition(">: ")[2] or str(cause) or type(cause).__name__
    return f"connection failed: {text}"


def describe_certificate(code: int, message: str) -> str:
    """A sentence with its fix for a certificate that was refused with OpenSSL's `code` and `message`."""
    if code in STRICT_CODES:
        return (
            f"TLS: a certificate breaks RFC 5280, which Python 3.13 checks strictly ({message}); {STRICT_FIX}"
        )
    return f"TLS: the server's certificate is not trusted ({message}); see genesys.ca_bundle"


def _inner(error: BaseException) -> BaseException | None:
    """The error that `error` wraps: urllib3 keeps it as cause, as `reason`, or among the arguments."""
    for inner in (error.__cause__, getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return inner
    return None
