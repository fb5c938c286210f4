"""Genesys Cloud as queuetick needs it: observe a batch of queues, list the org's queues.

Every API request takes the one path of `Client._request`: token, budget, SDK, answer or ApiError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from queuetick import __version__
from queuetick.events import Batch, Queue, RateLimit
from queuetick.genesys import sdk
from queuetick.genesys.answers import read_object
from queuetick.genesys.auth import TokenSource
from queuetick.genesys.errors import (
    RateLimited,
    Refused,
    RequestRefused,
    TokenRejected,
    Transient,
    from_answer,
    rate_limit,
)
from queuetick.genesys.queries import ENDPOINTS, Answer
from queuetick.genesys.transport import Exchange, Response, Transport

PAGE_SIZE = 500
SMALLER_PAGE_SIZE = 100
"""Queues a page (facts, section 4: 500 seen, 100 on sibling endpoints); a server may cap it in silence."""

MAX_PAGES = 1000
"""Where a listing that never ends is given up."""


class Budget(Protocol):
    """What a request needs of throttle.py."""

    def acquire(self, deadline: float) -> None: ...
    def answered(self) -> None: ...
    def observe(self, rate_limit: RateLimit | None) -> None: ...
    def admitted(self) -> None: ...
    def pause(self, seconds: float | None, source: Any) -> None: ...


class Usage(Struct):
    """Requests that one piece of work sent. `retries` are those sent again after a 401, a 429 or a failure."""

    requests: int = 0
    retries: int = 0


class Hosts(Struct, frozen=True):
    """Where API and login are, as URLs without a trailing slash."""

    api_url: str
    login_url: str


def hosts(region_url: str, *, api_url: str | None, login_url: str | None) -> Hosts:
    """The hosts in force: the region's own, unless overridden.

    Login is the API host with `api.` become `login.` (SDK api_client.py, get_conf_url), or the same host where the
    name does not begin so, as with a gateway or the simulator.
    """
    api = (api_url or region_url).rstrip("/")
    return Hosts(api, (login_url or api.replace("//api.", "//login.", 1)).rstrip("/"))


class Client:
    """One org, with one token, for any number of threads."""

    def __init__(
        self,
        transport: Transport,
        tokens: TokenSource,
        budget: Budget,
        *,
        api_url: str,
        endpoint: str,
        timeout: float,
        monotonic: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        """`endpoint` is "observations" or "details"; `timeout` is in seconds for one request."""
        self._sdk = sdk.load()
        self._transport = transport
        self._tokens = tokens
        self._budget = budget
        self._api_url = api_url
        self._query = ENDPOINTS[endpoint]
        self._timeout = timeout
        self._monotonic = monotonic
        self._now = now

    @property
    def permission(self) -> str:
        """The permission (or scope) that `observe` needs."""
        return self._query.permission

    def login(self) -> None:
        """Make sure of a token. Raises LoginRefused, LoginFailed or Stopped."""
        self._tokens.token()

    def observe(
        self, batch: Batch, *, cycle: int, scheduled_at: str, deadline: float, usage: Usage
    ) -> Answer:
        """Ask for one batch, starting before `deadline` (monotonic seconds).

        Raises an ApiError, Stopped, or what the budget raises when the request may not leave in time.
        A first attempt may take the whole timeout; a retry ends with the deadline, so that cycles do not pile up.
        """
        timeout = self._timeout
        if usage.retries:
            timeout = min(timeout, max(0.5, deadline - self._monotonic()))
        response = self._request(
            "POST",
            self._query.path,
            body=self._query.body(batch.queue_ids),
            deadline=deadline,
            usage=usage,
            timeout=timeout,
        )
        return self._query.read(
            response.data, batch, cycle=cycle, scheduled_at=scheduled_at, arrived=self._now()
        )

    def queues(
        self,
        *,
        deadline: float = math.inf,
        usage: Usage | None = None,
        on_page: Callable[[int, int], None] | None = None,
    ) -> list[Queue]:
        """List the org's queues, page by page, as far as `pageCount` says (facts, section 4).

        `on_page` hears (page, pages) after each. Raises an ApiError or Stopped. Ends with `deadline` (monotonic
        seconds), or half a second later: polling waits for it at start.
        """
        usage = usage if usage is not None else Usage()
        found: dict[str, Queue] = {}
        size, page, pages = PAGE_SIZE, 1, 1
        while page <= min(pages, MAX_PAGES):
            try:
                response = self._request(
                    "GET",
                    "/api/v2/routing/queues",
                    query={"pageSize": size, "pageNumber": page},
                    usage=usage,
                    deadline=deadline,
                    timeout=min(self._timeout, max(0.5, deadline - self._monotonic())),
                )
            except RequestRefused:
                if size == SMALLER_PAGE_SIZE or page > 1:
                    raise
                size = SMALLER_PAGE_SIZE
                continue
            listing = read_object(response.data)
            known = len(found)
            found |= {queue.id: queue for queue in _entities(listing)}
            pages = _page_count(listing, page)
            if on_page is not None:
                on_page(page, pages)
            if len(found) == known:
                _believe_end(listing, known)
                break
            page += 1
        return list(found.values())

    def queue(self, queue_id: str, *, deadline: float = math.inf) -> Queue | None:
        """Look one queue up by its id; None when there is none. Raises Forbidden when its division is out of reach."""
        try:
            response = self._request(
                "GET", f"/api/v2/routing/queues/{queue_id}", usage=Usage(), deadline=deadline
            )
        except Refused as error:
            if error.status != 404:
                raise
            return None
        return _queue(read_object(response.data))

    def _request(
        self,
        method: str,
        path: str,
        *,
        usage: Usage,
        query: Mapping[str, Any] | None = None,
        body: str | None = None,
        deadline: float = math.inf,
        timeout: float | None = None,
    ) -> Response:
        """Send one request, and once more with a new token where the first was answered 401."""
        replayed = False
        while True:
            self._tokens.token()  # before the budget: a request without a token is never sent, so it must not count
            self._budget.acquire(deadline)
            try:
                token = self._tokens.token()
                usage.requests += 1
                response = self._send(
                    method, path, query=query, body=body, token=token.value, timeout=timeout or self._timeout
                )
            finally:
                self._budget.answered()
            self._budget.observe(rate_limit(response.headers))
            if 200 <= response.status < 300:
                self._tokens.accepted(token)
                self._budget.admitted()
                return response
            error = from_answer(response.status, response.headers, response.data, now=self._now())
            if isinstance(error, RateLimited):
                self._budget.pause(error.retry_after, error.source)
                raise error
            self._budget.admitted()
            if not isinstance(error, TokenRejected) or replayed:
                raise error
            self._tokens.renew(token)
            replayed = True
            usage.retries += 1

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None,
        body: str | None,
        token: str,
        timeout: float,
    ) -> Response:
        exchange = Exchange(self._transport, timeout)
        client = self._sdk.ApiClient(self._api_url)
        client.set_http_client(exchange)
        client.user_agent = f"queuetick/{__version__} {client.user_agent}"
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        client.call_api(path, method, query_params=query, header_params=headers, body=body)
        assert exchange.response is not None  # noqa: S101 - call_api returns only after our request() did
        return exchange.response


def _entities(listing: Mapping[str, Any]) -> list[Queue]:
    """The queues of one page. Raises Transient when it lists something else: nothing must be dropped for a lie."""
    entities = listing.get("entities")
    if not isinstance(entities, list):
        raise Transient("the answer has no list 'entities', though its status is 200", status=200)
    queues = [queue for queue in map(_queue, entities) if queue is not None]
    if entities and not queues:
        raise Transient("no queue of the answer can be read, though its status is 200", status=200)
    return queues


def _believe_end(listing: Mapping[str, Any], found: int) -> None:
    """Raise Transient when a page without a new queue cannot be the end: `total` says that there are more."""
    total = listing.get("total")
    if isinstance(total, int) and total > found:
        raise Transient(f"the listing of {total} queues ended after {found}", status=200)


def _queue(item: Any) -> Queue | None:
    if not isinstance(item, dict) or (queue_id := _text(item.get("id"))) is None:
        return None
    division = item.get("division")
    division = division if isinstance(division, dict) else {}
    return Queue(
        id=queue_id.lower(),
        name=_text(item.get("name")),
        division=_text(division.get("name")),
        division_id=_text(division.get("id")),
    )


def _page_count(listing: Mapping[str, Any], page: int) -> int:
    """How many pages there are; where `pageCount` is not said, go on while `nextUri` is there."""
    count = listing.get("pageCount")
    if isinstance(count, int) and not isinstance(count, bool):
        return count
    return page + 1 if listing.get("nextUri") else page


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
