"""Error answers: one constructor for each, with the API's own code and message.

Codes and sentences: docs/dev/api-facts.md, sections 2 to 3.4; the 429 is the form that Genesys
Cloud normalised on 2021-11-10. A sentence that the facts do not give is marked here.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"


@dataclass(slots=True)
class Answer:
    """One HTTP answer before faults touch it."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON
    repeated: tuple[tuple[str, str], ...] = ()
    """Headers beside those above, whose names may come more than once."""


@dataclass(eq=False)
class Problem(Exception):
    """An error the API answers with; Api.respond() turns it into an Answer."""

    status: int
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()
    limit: dict[str, Any] | None = None
    """The limit that was hit; see token_limit."""

    def answer(self, context_id: str) -> Answer:
        envelope: dict[str, Any] = {
            "message": self.message,
            "code": self.code,
            "status": self.status,
            "contextId": context_id,
            "details": [],
            "errors": [],
        }
        if self.limit is not None:
            envelope["limit"] = self.limit
        return Answer(self.status, json.dumps(envelope).encode(), dict(self.headers))


def token_limit(value: int, name: str = "token.rate.per.minute") -> dict[str, Any]:
    """A limit as error bodies and `GET /api/v2/organizations/limits/namespaces/platform.api` name it."""
    return {"key": name, "namespace": "platform.api", "value": value}


def bad_request(message: str, code: str = "bad.request") -> Problem:
    return Problem(400, code, message)


def invalid_id() -> Problem:
    return Problem(400, "invalid.id", "A non-UUID value was specified for an ID field.")


def invalid_query_parameter(name: str, value: str) -> Problem:
    """The sentence is ours."""
    return Problem(
        400, "invalid.query.param.value", f"Value [{value}] is not valid for query parameter [{name}]."
    )


def too_many_predicates(count: int, most: int) -> Problem:
    """The sentence is ours; that there is such an error, and the number, were seen on a live org."""
    return bad_request(f"Max {most} query predicates are allowed, received {count}.", "invalid.value")


def bad_queue_ids(queue_ids: Sequence[str]) -> Problem:
    """The live API's body is not known: clients must use the status."""
    return bad_request(f"Queue(s) not found: [{', '.join(queue_ids)}]", "invalid.value")


def authentication_required() -> Problem:
    return Problem(
        401,
        "authentication.required",
        "No authentication bearer token specified in authorization header.",
    )


def bad_credentials() -> Problem:
    return Problem(401, "bad.credentials", "Invalid login credentials.")


def missing_any_permissions(permission: str) -> Problem:
    return Problem(
        403,
        "missing.any.permissions",
        "Unable to perform the requested action. You must have at least one of the following "
        f"permissions assigned: [{permission}]",
    )


def not_found() -> Problem:
    return Problem(404, "not.found", "The requested resource was not found.")


def method_not_allowed(allowed: str) -> Problem:
    """405 is not among the documented codes; the name is ours."""
    return Problem(405, "method.not.allowed", "Method not allowed.", (("Allow", allowed),))


def request_too_large(limit: int) -> Problem:
    return Problem(413, "request.entity.too.large", f"Request entity exceeds the limit of {limit} bytes.")


def unsupported_media_type() -> Problem:
    return Problem(415, "unsupported.media.type", "Content-Type must be application/json.")


def _retry_after(value: str | None) -> tuple[tuple[str, str], ...]:
    return () if value is None else (("Retry-After", value),)


def too_many_requests(seconds: int, retry_after: str | None) -> Problem:
    return Problem(
        429,
        "too.many.requests.retry.after",
        f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds",
        _retry_after(retry_after),
    )


def too_many_requests_legacy(limit: int, window: int, retry_after: str | None) -> Problem:
    """The older body, before November 2021."""
    return Problem(
        429,
        "too.many.requests",
        f"Rate limit exceeded the maximum [{limit}] requests within [{window}] seconds",
        _retry_after(retry_after),
    )


_BY_STATUS = {
    400: ("bad.request", "The request could not be understood by the server due to malformed syntax."),
    401: ("bad.credentials", "Invalid login credentials."),
    403: ("not.authorized", "You are not authorized to perform the requested action."),
    404: ("not.found", "The requested resource was not found."),
    408: ("client.timeout", "The client did not produce a request within the server timeout limit."),
    413: ("request.entity.too.large", "The request is over the size limit."),
    415: ("unsupported.media.type", "Unsupported Media Type."),
    500: ("internal.server.error", "The server encountered an unexpected condition."),
    501: ("not.implemented", "Not implemented."),
    502: ("bad.gateway", "Bad gateway."),
    503: ("service.unavailable", "Service Unavailable - The server is currently unavailable."),
    504: ("request.timeout", "The request timed out."),
}


_RETRY_AFTER_STATUSES = frozenset({429, 502, 503, 504})


def by_status(
    status: int, seconds: float | None = None, *, header: bool = True, code: str = "", message: str = ""
) -> Problem:
    """The error body of any status; code and message are the usual ones of the status where not given.

    With `header`, `seconds` are in the Retry-After of a status that may have one.
    """
    retry_after = (
        f"{seconds:g}" if header and seconds is not None and status in _RETRY_AFTER_STATUSES else None
    )
    if status == 429 and not (code or message):
        return too_many_requests(int(seconds or 1), retry_after)
    usual_code, usual_message = _BY_STATUS.get(status, (f"status.{status}", f"Status {status}."))
    return Problem(status, code or usual_code, message or usual_message, _retry_after(retry_after))


def login_refused(status: int, error: str, description: str) -> Answer:
    """The token endpoint has its own error body (seen live by gildas/go-gcloudcx)."""
    body = {"error": error, "description": description, "error_description": description}
    return Answer(status, json.dumps(body).encode())
