"""The result of a check: pass, warn, fail or skipped, why, what to do, and the evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct, field

from queuetick.exit_codes import ExitCode
from queuetick.genesys.errors import (
    ApiError,
    Forbidden,
    LoginFailed,
    LoginRefused,
    RateLimited,
    Refused,
    Transient,
)

Status = Literal["pass", "warn", "fail", "skipped"]

Evidence = dict[str, Any]

SCOPES = (
    "OAuth scopes do not apply to client credentials: such a client may do what its roles permit, "
    "in the divisions given with each role, and nothing else."
)


class Item(Struct, frozen=True):
    """One of several things that a check found, such as one queue id."""

    subject: str
    status: Status
    message: str
    fix: str | None = None
    evidence: Evidence = field(default_factory=dict)


class Check(Struct, frozen=True):
    """The result of one check. `message` is the cause where it did not pass; `exit` is what a failure exits with."""

    name: str
    status: Status
    message: str
    fix: str | None = None
    note: str | None = None
    evidence: Evidence = field(default_factory=dict)
    items: tuple[Item, ...] = ()
    exit: ExitCode = ExitCode.FAILURE


def passed(name: str, message: str, **evidence: Any) -> Check:
    return Check(name, "pass", message, evidence=evidence)


def skipped(name: str, why: str) -> Check:
    return Check(name, "skipped", why)


def failed(
    name: str, message: str, fix: str, *, exits: ExitCode = ExitCode.FAILURE, **evidence: Any
) -> Check:
    return Check(name, "fail", message, fix, evidence=evidence, exit=exits)


def warned(name: str, message: str, fix: str, **evidence: Any) -> Check:
    return Check(name, "warn", message, fix, evidence=evidence)


def worst(items: Iterable[Item]) -> Status:
    """The status of a check that found `items`."""
    statuses = {item.status for item in items}
    return "fail" if "fail" in statuses else "warn" if statuses & {"warn", "skipped"} else "pass"


def exit_of(checks: Iterable[Check]) -> ExitCode:
    """78 before 77 before 75 before 1: the first that a person has to fix."""
    codes = {check.exit for check in checks if check.status == "fail"}
    return next(
        (
            code
            for code in (ExitCode.CONFIG, ExitCode.NOPERM, ExitCode.TEMPFAIL, ExitCode.FAILURE)
            if code in codes
        ),
        ExitCode.OK,
    )


def exit_for(error: ApiError) -> ExitCode:
    """What an error of the API exits with; 429 is a reason to come back later, as an outage is.

    An answer that is not Genesys's own, such as a redirect to a sign-in page, means that the API was not reached.
    """
    if isinstance(error, Forbidden | LoginRefused):
        return ExitCode.NOPERM
    # No answer, or one that is no token.
    if isinstance(error, LoginFailed) and (error.status or 200) // 100 == 2:
        return ExitCode.TEMPFAIL
    if isinstance(error, LoginFailed) and isinstance(error.__cause__, ApiError):
        error = error.__cause__
    elsewhere = isinstance(error, Refused) and not error.genuine
    return ExitCode.TEMPFAIL if elsewhere or isinstance(error, Transient | RateLimited) else ExitCode.FAILURE


def evidence_of(error: ApiError) -> Evidence:
    """Status, code and correlation id, as far as the answer had them."""
    return {name: fact for name, fact in error.evidence().items() if fact is not None}


def wait_words(seconds: float | None) -> str:
    """How long a 429 asks to wait, as part of a fix."""
    return "wait a minute" if seconds is None else f"wait {seconds:.0f} s"


def duration_words(seconds: float) -> str:
    """A duration for people: 24 h, 15 min, 40 s."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
