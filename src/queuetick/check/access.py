"""From the hosts to the numbers: login, and the two permissions, each asked for by the request that needs it."""

from __future__ import annotations

from msgspec import Struct

from queuetick.check.asking import Asker
from queuetick.check.probe import Probe
from queuetick.check.queues import Answers, batch_size
from queuetick.check.result import (
    SCOPES,
    Check,
    Evidence,
    Status,
    duration_words,
    evidence_of,
    exit_for,
    failed,
    passed,
    skipped,
    wait_words,
    warned,
)
from queuetick.clock import Stopped
from queuetick.config import Config
from queuetick.events import Queue, chunk
from queuetick.exit_codes import ExitCode
from queuetick.genesys import stats
from queuetick.genesys.client import Usage
from queuetick.genesys.errors import (
    ApiError,
    Forbidden,
    LoginFailed,
    LoginRefused,
    RateLimited,
    TokenRejected,
    Transient,
)
from queuetick.genesys.org import Org
from queuetick.genesys.rate_limit import Deferred

LISTING = "routing:queue:view"

MADE_UP = Queue("00000000-0000-4000-8000-000000000000")
"""Asked about when there is no queue to ask about: a missing permission is answered 403 all the same."""

_UI_NAMES = {
    LISTING: "Routing > Queue > View",
    "analytics:queueObservation:view": "Analytics > Queue Observation > View",
    stats.PERMISSION: "Analytics > Conversation Aggregate > View",
}


class Listing(Struct, frozen=True):
    """The org's queues as the client sees them; `queues` is None where they could not be listed."""

    check: Check
    queues: list[Queue] | None


def login(org: Org, probe: Probe) -> Check:
    """Log in as the daemon does. An unknown client (400) and a wrong secret (401) are told apart."""
    try:
        org.client.login()
    except LoginRefused as error:
        message = f"{error.title}: {error.problem}"
        return failed("login", message, error.fix, exits=ExitCode.NOPERM, **evidence_of(error))
    except LoginFailed as error:
        cause = error.__cause__
        evidence = evidence_of(error)
        if isinstance(cause, RateLimited):
            return limited("login", cause.reason, cause.retry_after, evidence)
        fix = f"check that {org.hosts.login_url} is Genesys Cloud's login host, not a gateway's sign-in page"
        if isinstance(cause, Transient):
            fix = f"check again; if it fails again, look for a proxy or firewall on the way to {org.hosts.login_url}"
        return failed("login", error.reason, fix, exits=exit_for(error), **evidence)
    lifetime = probe.token_lifetime or 0.0
    message = f"a token for {duration_words(lifetime)}, renewed before it ends"
    return passed("login", message, token_lifetime_seconds=lifetime)


def grant(permission: str) -> str:
    """Where in Genesys Cloud a permission is granted."""
    if permission not in _UI_NAMES:
        return f"have the operator of genesys.api_url grant the client {permission}"
    return (
        f"in Admin > People & Permissions > Roles / Permissions give a role {_UI_NAMES[permission]}, and in Admin > "
        "Integrations > OAuth > (the client) > Roles give the client that role in the divisions of the queues"
    )


def listing(org: Org, *, deadline: float) -> Listing:
    """Whether the queues can be listed, which takes routing:queue:view; and the queues."""
    name = f"permission {LISTING}"
    try:
        queues = org.client.queues(deadline=deadline)
    except Forbidden as error:
        if org.config.queues.name_globs:
            return Listing(forbidden(LISTING, f": {error.reason}", error), None)
        message = ", so the names and divisions of queues.ids are not known"
        return Listing(forbidden(LISTING, message, error, "warn"), None)
    except (ApiError, Deferred, Stopped) as error:
        return Listing(refused_for_now(name, "GET /api/v2/routing/queues", error), None)
    if not queues:
        fix = f"give the client's role the divisions of the queues: {grant(LISTING)}"
        message = "it is granted, but in no division with a queue: the listing is empty"
        return Listing(Check(name, "warn", message, fix, SCOPES, {"queues": 0}), queues)
    divisions = {queue.division_id for queue in queues}
    message = f"{len(queues)} queues in {len(divisions)} divisions"
    return Listing(passed(name, message, queues=len(queues), divisions=len(divisions)), queues)


def limited(name: str, reason: str, seconds: float | None, evidence: Evidence) -> Check:
    """A 429, and how long to wait."""
    fix = f"{wait_words(seconds)} and check again; nothing more was sent"
    evidence = evidence | {"status": 429, "retry_after_seconds": seconds}
    return failed(name, f"429: {reason}", fix, exits=ExitCode.TEMPFAIL, **evidence)


def forbidden(permission: str, message: str, error: Forbidden, status: Status = "fail") -> Check:
    """A permission that is missing, and where it is granted."""
    return Check(
        f"permission {permission}",
        status,
        f"{permission} is missing{message}",
        grant(permission),
        SCOPES,
        evidence_of(error),
        exit=ExitCode.NOPERM,
    )


def refused_for_now(name: str, request: str, error: Exception) -> Check:
    """An error that says nothing about a permission: an outage, a gateway, a pause, or a refusal of the API's own."""
    if isinstance(error, Deferred | Stopped):
        return skipped(name, "the budget or the API's pause left no time for it")
    assert isinstance(error, ApiError)  # noqa: S101 - what the clients of this function caught
    if isinstance(error, RateLimited):
        return limited(name, error.reason, error.retry_after, evidence_of(error))
    fix = "look for an outage at status.mypurecloud.com; check that genesys.api_url and the proxy lead to Genesys Cloud"
    if isinstance(error, TokenRejected):
        fix = "check that genesys.api_url and login_url are of one region: the API refuses the login host's token"
    elif error.genuine and not isinstance(error, Transient):
        fix = (
            "attach the output of `queuetick check --report` to an issue: the API itself refuses the request"
        )
    return failed(name, f"{request}: {error.reason}", fix, exits=exit_for(error), **evidence_of(error))


def observation(
    org: Org, asker: Asker, queues: list[Queue], answers: Answers, probe: Probe, *, deadline: float
) -> Check:
    """Whether queues can be observed: the first batch as the daemon sends it. What it answered goes to `answers`."""
    permission = org.client.permission
    name = f"permission {permission}"
    size = batch_size(org.config.poll.batch_size, len(queues))
    first = chunk(queues or [MADE_UP], size)[0].queues
    result = asker.ask(first, batch_size=size, deadline=deadline)
    if probe.refused_metrics and not result.answered:
        result = asker.ask(first, batch_size=size, deadline=deadline)  # now without the refused metrics
    error, report = result.last_error, result.report
    if isinstance(error, Forbidden):
        return forbidden(permission, f": {error.reason}", error)
    if result.answered or result.missing or result.invalid:
        answers.add(result, 1)
        if probe.refused_metrics:
            metrics = ", ".join(probe.refused_metrics)
            message = (
                f"the organisation does not offer {metrics}: the fields made of it are null in the lines"
            )
            return warned(name, message, "nothing, or ask Genesys why", metrics=probe.refused_metrics)
        message = "the query was answered" if queues else "the query for a made-up id was not forbidden"
        return passed(name, f"{message} in {report.duration_seconds:.2f} s", seconds=report.duration_seconds)
    if probe.pause is not None:
        reason = "the API's rate limit for this client is used up"
        return limited(name, reason, probe.pause.retry_after_seconds, {"source": probe.pause.source})
    return refused_for_now(name, f"POST {request_path(org.config)}", error or Stopped())


def statistics(org: Org, queues: list[Queue], *, now: float, deadline: float) -> Check:
    """Whether queue.stats can be asked for, with one queue; skipped where it is not enabled."""
    name = f"permission {stats.PERMISSION}"
    settings = org.config.stats
    if not settings.enabled:
        return skipped(name, "queue.stats is not enabled ([stats] enabled)")
    window = stats.today(settings.timezone, now)
    try:
        org.client.stats(
            (queues or [MADE_UP])[:1],
            cycle=0,
            scheduled_at="",
            window=window,
            deadline=deadline,
            usage=Usage(),
        )
    except Forbidden as error:
        return forbidden(stats.PERMISSION, f", so queue.stats is not written: {error.reason}", error)
    except (ApiError, Deferred, Stopped) as error:
        return refused_for_now(name, f"POST {stats.PATH}", error)
    return passed(name, f"the query for today in {settings.timezone} was answered")


def request_path(config: Config) -> str:
    return f"/api/v2/analytics/queues/{config.genesys.endpoint}/query"
