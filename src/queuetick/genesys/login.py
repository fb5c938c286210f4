"""One login: client credentials for an access token, or why there is none.

Facts, section 2: POST {login}/oauth/token, Basic client id and secret, form grant_type=client_credentials; the answer
names `expires_in` (300 to 172,800 s).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable

import msgspec

from queuetick.config import Credentials
from queuetick.genesys import sdk
from queuetick.genesys.answers import read_object
from queuetick.genesys.errors import ApiError, LoginFailed, LoginRefused, Transient, from_answer
from queuetick.genesys.transport import Response, Transport

ASSUMED_LIFETIME = 300.0
"""Seconds, the shortest that an OAuth client can be given, for an answer without `expires_in`."""

_WRONG_GRANT = ("unauthorized_client", "unsupported_grant_type")
"""RFC 6749, section 5.2."""

MAX_BODY = 256 * 1024
"""Bytes of an answer of the token endpoint; a token has under 4 KB."""


class Token(msgspec.Struct, frozen=True):
    """An access token and its life in seconds. The value does not show in a repr."""

    value: str
    expires_in: float

    def __repr__(self) -> str:
        return f"Token(***, expires_in={self.expires_in:g})"


class Login:
    """One login at the token endpoint."""

    def __init__(
        self,
        transport: Transport,
        *,
        login_url: str,
        region: str,
        credentials: Credentials,
        timeout: float,
        now: Callable[[], float],
    ) -> None:
        """`region` says in messages how the login host was chosen; `timeout` is in seconds.

        `now` gives epoch seconds, for a Retry-After that is a date.
        """
        self._transport = transport
        self._now = now
        self._url = f"{login_url.rstrip('/')}/oauth/token"
        self._timeout = timeout
        self._place = f"{login_url.rstrip('/')} ({region})"
        pair = f"{credentials.client_id}:{credentials.client_secret}".encode()
        self._authorization = "Basic " + base64.b64encode(pair).decode("ascii")

    def __call__(self) -> Token:
        """Ask for a token.

        Raises LoginRefused when the credentials are wrong, LoginFailed when there is no token for another reason
        (its `__cause__` is the error of the request), Stopped when the daemon stops.
        """
        options = sdk.load().HttpRequestOptions(
            url=self._url,
            method="POST",
            headers={
                "Authorization": self._authorization,
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
            body="grant_type=client_credentials",
        )
        try:
            response = self._transport.send(options, timeout=self._timeout, most=MAX_BODY)
        except ApiError as error:
            raise LoginFailed(f"login at {self._place}: {error.reason}") from error
        if 200 <= response.status < 300:
            return _read_token(response, self._place)
        cause = from_answer(response.status, response.headers, response.data, now=self._now())
        if cause.genuine and response.status in (400, 401, 403):
            raise _refusal(cause, self._place) from cause
        raise LoginFailed(f"login at {self._place}: {cause.reason}", **cause.evidence()) from cause


def _refusal(cause: ApiError, place: str) -> LoginRefused:
    """A refused login, and what a person should do (400: unknown client, 401: wrong secret; facts, section 2)."""
    region = "check that genesys.region is the region of the client's organisation"
    if cause.status == 401:
        title = "wrong client secret"
        problem = f"according to {place} the client secret is wrong ({cause.reason})"
        fix = f"set GENESYS_CLIENT_SECRET to the client's current secret, and {region}"
    elif cause.status == 400 and cause.code == "invalid_client":
        title = "unknown client id"
        problem = f"{place} does not know the client ({cause.reason})"
        fix = f"check GENESYS_CLIENT_ID, and {region}"
    elif cause.status == 400 and cause.code in _WRONG_GRANT:
        title = "wrong grant type"
        problem = f"{place} refuses the grant ({cause.reason})"
        fix = "make an OAuth client of grant type Client Credentials in Admin > Integrations > OAuth"
    elif cause.status == 400:
        title = "login refused"
        problem = f"{place} refuses the login ({cause.reason})"
        fix = f"check that it is Genesys Cloud's login host, check GENESYS_CLIENT_ID, and {region}"
    else:
        title = "login forbidden"
        problem = f"{place} forbids the login ({cause.reason})"
        fix = "check in Admin > Integrations > OAuth that the client is enabled and this machine's address is allowed"
    error = LoginRefused(f"{problem}. Fix: {fix}", **cause.evidence(), genuine=True)
    error.title, error.problem, error.fix = title, problem, fix
    return error


def _read_token(response: Response, place: str) -> Token:
    try:
        grant = read_object(response.data)
    except Transient:
        grant = {}
    token = grant.get("access_token")
    if not isinstance(token, str):
        raise LoginFailed(
            f"login at {place}: the answer is not a token; check login_url", status=response.status
        )
    # The value goes into a header: anything but visible ASCII would break or forge one.
    if not token.isascii() or not token.isprintable() or not token.strip():
        raise LoginFailed(
            f"login at {place}: the token holds characters that no token has", status=response.status
        )
    try:
        lifetime = float(grant["expires_in"])
    except (KeyError, TypeError, ValueError, OverflowError):
        lifetime = ASSUMED_LIFETIME
    return Token(token, lifetime if 0 < lifetime < math.inf else ASSUMED_LIFETIME)
