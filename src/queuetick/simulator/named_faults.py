"""Faults by name: troubles that were met elsewhere, each with the knobs that reproduce it.

`named = ["forbidden_queues", "slow"]` in a faults file, `--fault NAME` on the command line. Names add up:
their rules follow one another, of any other knob the last name's value holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from queuetick.simulator.fault_values import UnknownFaultError

_QUERIES = ["observations", "details"]


@dataclass(frozen=True, slots=True)
class NamedFault:
    about: str
    knobs: Mapping[str, Any]


def _rule(about: str, **rule: Any) -> NamedFault:
    return NamedFault(about, {"rules": [rule]})


def _allowed(about: str, value: str, **rule: Any) -> NamedFault:
    return _rule(about, headers={"inin-ratelimit-allowed": value}, **rule)


NAMED: Mapping[str, NamedFault] = {
    "refuse_all": _rule("everything but logins is answered 400 `bad.request`", status=400),
    "refuse_all_html": _rule(
        "everything but logins is answered 400 with an HTML page", status=400, body="html"
    ),
    "refused_metric": _rule(
        "a query for `oLongestInteracting` is answered 400 `invalid.value`",
        metric="oLongestInteracting",
        status=400,
        code="invalid.value",
        message="metrics: [oLongestInteracting] is not a valid metric.",
    ),
    "forbidden_queues": _rule(
        "one queue in twenty: 403 `missing.division.permission` for every request that names it",
        queues=0.05,
        status=403,
        code="missing.division.permission",
    ),
    "lost_queues": _rule(
        "one queue in twenty: 404 `not.found` for every request that names it", queues=0.05, status=404
    ),
    "login_403_html": _rule(
        "the first login is answered 403 with an HTML page", route="login", status=403, body="html", times=1
    ),
    "login_400_html": _rule(
        "the first login is answered 400 with an HTML page", route="login", status=400, body="html", times=1
    ),
    "login_echo": _rule(
        "logins are answered 400 with what the client sent", route="login", status=400, body="echo"
    ),
    "query_403_html": _rule(
        "the first query is answered 403 with an HTML page", route=_QUERIES, status=403, body="html", times=1
    ),
    "no_results": _rule("queries are answered 200 with `{}`", route=_QUERIES, text="{}"),
    "too_large": _rule(
        "a query for more than 50 queues is answered 400 `response.entity.too.large`",
        above=50,
        status=400,
        code="response.entity.too.large",
    ),
    "slow": NamedFault("every answer takes 0.8 s", {"latency": 0.8}),
    "listing_429": _rule(
        "the listing is answered 429 with Retry-After 1800", route="listing", status=429, retry_after=1800
    ),
    "observations_429": _rule(
        "queries of observations and details are answered 429 with Retry-After 60",
        route=_QUERIES,
        status=429,
        retry_after=60,
    ),
    "stats_429": _rule(
        "conversation aggregates are answered 429 with Retry-After 60",
        route="stats",
        status=429,
        retry_after=60,
    ),
    "login_429": _rule(
        "logins are answered 429 with Retry-After 60", route="login", status=429, retry_after=60
    ),
    "token_429": _rule(
        "one request is answered 429 with Retry-After 30; the body names `token.rate.per.minute`",
        status=429,
        retry_after=30,
        limit="token.rate.per.minute",
        times=1,
    ),
    "retry_after_twice": _rule(
        "one query is answered 429 with two Retry-After headers of 5",
        route=_QUERIES,
        status=429,
        headers={"Retry-After": ["5", "5"]},
        times=1,
    ),
    "retry_after_503": _rule(
        "one query is answered 503 with Retry-After 5", route=_QUERIES, status=503, retry_after=5, times=1
    ),
    "allowed_1": _allowed("one answer says that 1 request a minute is allowed", "1", times=1),
    "allowed_60_listing": _allowed("the listing's answers say 60 a minute", "60", route="listing"),
    "allowed_1e300": _allowed("every answer says that 1e300 requests a minute are allowed", "1e300"),
    "listing_empty": NamedFault("the listing has no queue and `total` 0", {"listing_empty": True}),
    "page_count_0": NamedFault("`pageCount` is 0", {"listing_page_count": 0}),
    "page_count_1": NamedFault("`pageCount` is 1, however many pages there are", {"listing_page_count": 1}),
    "page_count_text": NamedFault('`pageCount` is `"3"`', {"listing_page_count": "3"}),
    "page_count_float": NamedFault("`pageCount` is `3.0`", {"listing_page_count": 3.0}),
    "pages_capped": NamedFault(
        "a page has 100 rows at most under a `pageCount` for the size asked for", {"listing_page_cap": 100}
    ),
    "page_cut": NamedFault("the first page is cut to 10 rows", {"listing_cut": {1: 10}}),
    "rows_unreadable": NamedFault("one row in twenty cannot be read", {"listing_unreadable": 0.05}),
    "rows_repeated": NamedFault("one row in twenty comes twice", {"listing_repeated": 0.05}),
    "deleted_between_pages": NamedFault(
        "one queue in twenty is deleted after the first page was answered", {"listing_deletes": 0.05}
    ),
}


def knobs_of(names: Iterable[str]) -> dict[str, Any]:
    """The knobs of several named faults together. Raises UnknownFaultError."""
    found: dict[str, Any] = {}
    for name in names:
        if name not in NAMED:
            raise UnknownFaultError(
                f"no fault is named {name!r}; the known names are {', '.join(sorted(NAMED))}"
            )
        for knob, value in NAMED[name].knobs.items():
            found[knob] = [*found.get(knob, ()), *value] if knob == "rules" else value
    return found
