"""The requests to Genesys Cloud: observe a batch of queues, list the org's queues, ask what happened today.

Every API request goes through `Client._request`: token, budget, SDK, answer or ApiError.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from queuetick import __version__
from queuetick.events import Batch, MetricRefused, PauseSource, Queue, QueueStats, RateLimit, Route
from queuetick.genesys import sdk, stats
from queuetick.genesys.answers import read_object
from queuetick.genesys.auth import TokenSource
from queuetick.genesys.errors import (
    ListingContradicted,
    NotFound,
    RateLimited,
    RequestRefused,
    TokenRejected,
    TooLarge,
    Transient,
    Unreachable,
    from_answer,
)
from queuetick.genesys.headers import rate_limit
from queuetick.genesys.listing import MAX_PAGES, SMALLER_PAGE_SIZE, Listing, read_queue
from queuetick.genesys.metric_set import MetricSet
from queuetick.genesys.queries import ENDPOINTS, Answer, Observations
from queuetick.genesys.rate_limit import Deferred
from queuetick.genesys.stats import Window
from queuetick.genesys.transport import MAX_BODY, Exchange, Response, Transport

LISTING_ATTEMPTS = 3
"""How often a listing that disagrees with its own `total` is asked for."""


class Limits(Protocol):
    """What a request needs of rate_limit.py."""

    def acquire(self, route: Route, deadline: float) -> None: ...
    def release(self, route: Route) -> None: ...
    def update_from_headers(self, route: Route, rate_limit: RateLimit | None) -> None: ...
    def reset_backoff(self, route: Route) -> None: ...
    def hold(self, route: Route, seconds: float) -> None: ...
    def pause(self, route: Route, seconds: float | None, source: PauseSource) -> None: ...


class Usage(Struct):
    """Requests that one piece of work sent. `retries` are those sent again after a 401, a 429 or a failure."""

    requests: int = 0
    retries: int = 0


def _most(queues: Sequence[Queue]) -> int:
    """Bytes that an answer about `queues` may have: several times what is needed (facts, 1.5)."""
    return (256 + 20 * len(queues)) * 1024


class Client:
    """One org, with one token, for any number of threads."""

    def __init__(
        self,
        transport: Transport,
        tokens: TokenSource,
        limits: Limits,
        metrics: MetricSet,
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
        self._limits = limits
        self._api_url = api_url
        self._query = ENDPOINTS[endpoint]
        self._metrics = metrics
        self._timeout = timeout
        self._monotonic = monotonic
        self._now = now

    @property
    def permission(self) -> str:
        """The permission (or scope) that `observe` needs."""
        return self._query.permission

    def login(self) -> None:
        """Log in where there is no valid token. Raises LoginRefused, LoginFailed or Stopped."""
        self._tokens.token()

    def drop_token(self) -> None:
        """Log in again, slowly: a whole cycle got no other answer than 401."""
        self._tokens.drop()

    def hold(self, seconds: float) -> None:
        """Observe nothing for `seconds`: a 503 asked for it, and no other batch is answered."""
        self._limits.hold("observations", seconds)

    def observe(
        self, batch: Batch, *, cycle: int, scheduled_at: str, deadline: float, usage: Usage
    ) -> Answer:
        """Ask for one batch, starting before `deadline` (monotonic seconds). Raises an ApiError, Deferred or Stopped.

        A first attempt may take the whole timeout; a retry ends with the deadline, so that cycles do not pile up.
        """
        timeout = self._timeout
        metrics = self._metrics.in_force
        if usage.requests:
            timeout = min(timeout, max(0.5, deadline - self._monotonic()))
        response = self._request(
            "POST",
            self._query.path,
            route="observations",
            body=self._query.body(batch.queue_ids, metrics),
            most=_most(batch.queues),
            deadline=deadline,
            usage=usage,
            timeout=timeout,
            about=batch.queue_ids,
        )
        return self._query.read(
            response.data,
            batch,
            cycle=cycle,
            scheduled_at=scheduled_at,
            arrived=self._now(),
            metrics=metrics,
        )

    def stats(
        self,
        queues: Sequence[Queue],
        *,
        cycle: int,
        scheduled_at: str,
        window: Window,
        deadline: float,
        usage: Usage,
    ) -> list[QueueStats]:
        """Ask what happened in `window` (`genesys.stats.today`) in at most `stats.MAX_QUEUES` queues.

        Raises an ApiError, Deferred or Stopped. Sends only what the budget leaves besides the observations.
        """
        response = self._request(
            "POST",
            stats.PATH,
            route="stats",
            body=stats.body([queue.id for queue in queues], window),
            most=_most(queues),
            deadline=deadline,
            usage=usage,
            about=[f"{stats.PATH} {queue.id}" for queue in queues],
        )
        return stats.read(
            response.data,
            queues,
            cycle=cycle,
            scheduled_at=scheduled_at,
            window=window,
            arrived=self._now(),
        )

    def find_refused_metric(
        self, queue_id: str, error: RequestRefused, *, deadline: float, usage: Usage, requests: int
    ) -> list[MetricRefused]:
        """Look for a metric that the org refuses, after `error` in a cycle in which nothing was answered.

        Asks for the single queue `queue_id`, at most `requests` times (the search goes on with the next call), and
        leaves the metric out of later queries. Returns its event, to be emitted once; an empty list when none was found
        yet. Raises an ApiError other than a refusal, Deferred or Stopped.
        """
        if not isinstance(self._query, Observations):
            return []
        ask = functools.partial(self._ask_metrics, queue_id, deadline, usage)
        return self._metrics.search(ask, error, requests=requests)

    def retry_refused_metrics(self, queue_id: str, *, deadline: float, usage: Usage) -> None:
        """Ask for each refused metric again, by the single queue `queue_id`, and go on with those that are answered.

        Raises an ApiError other than a refusal, Deferred or Stopped.
        """
        self._metrics.restore(functools.partial(self._ask_metrics, queue_id, deadline, usage))

    def _ask_metrics(
        self, queue_id: str, deadline: float, usage: Usage, metrics: Sequence[str]
    ) -> RequestRefused | None:
        body = self._query.body([queue_id], metrics)
        try:
            self._request(
                "POST",
                self._query.path,
                route="observations",
                body=body,
                deadline=deadline,
                usage=usage,
                about=[queue_id],
            )
        except TooLarge:
            raise
        except RequestRefused as error:
            return error
        return None

    def queues(
        self,
        *,
        deadline: float = math.inf,
        usage: Usage | None = None,
        on_page: Callable[[int, int], None] | None = None,
    ) -> list[Queue]:
        """List the org's queues, page by page (facts, section 4), until what was found agrees with `total`.

        Calls `on_page(page, pages)` after each page. Asks `LISTING_ATTEMPTS` times at most, until `deadline` (monotonic
        seconds). Raises ListingContradicted when the listing still disagrees with itself or was not read to its end by
        then, another ApiError, Deferred (nothing was read) or Stopped.
        """
        usage = usage if usage is not None else Usage()
        doubt: ListingContradicted | None = None
        for _ in range(LISTING_ATTEMPTS):
            listing = Listing()
            try:
                while listing.more:
                    self._page(listing, deadline=deadline, usage=usage)
                    if on_page is not None:
                        on_page(listing.pages, listing.expected_pages)
                return listing.queues()
            except ListingContradicted as error:
                if listing.pages >= MAX_PAGES:
                    raise
                doubt = error
            except (Deferred, Unreachable) as error:
                # The deadline ends a request that is under way, too.
                if self._monotonic() < deadline and isinstance(error, Unreachable):
                    raise
                if doubt is None and not listing.pages:
                    raise
                raise (doubt or listing.unfinished()) from None
        assert doubt is not None  # noqa: S101 - the loop ends only after a doubt
        raise doubt

    def _page(self, listing: Listing, *, deadline: float, usage: Usage) -> None:
        """Ask for the next page, and for smaller ones when the first is refused."""
        path, number = "/api/v2/routing/queues", listing.pages + 1
        try:
            response = self._request(
                "GET",
                path,
                route="listing",
                query={"pageSize": listing.page_size, "pageNumber": number},
                about=[f"{path} {number}"],
                usage=usage,
                deadline=deadline,
                timeout=min(self._timeout, max(0.5, deadline - self._monotonic())),
            )
        except RequestRefused:
            if listing.page_size == SMALLER_PAGE_SIZE or listing.pages > 0:
                raise
            listing.page_size = SMALLER_PAGE_SIZE
        else:
            listing.add(read_object(response.data))

    def queue(self, queue_id: str, *, deadline: float = math.inf, usage: Usage | None = None) -> Queue | None:
        """Look one queue up by its id; None when there is none. Raises Forbidden when its division is not granted."""
        path = f"/api/v2/routing/queues/{queue_id}"
        try:
            response = self._request("GET", path, route="listing", usage=usage or Usage(), deadline=deadline)
        except NotFound:
            return None
        if (queue := read_queue(read_object(response.data))) is None:
            raise Transient("the answer describes no queue, though its status is 200", status=200)
        return queue

    def _request(
        self,
        method: str,
        path: str,
        *,
        route: Route,
        usage: Usage,
        query: Mapping[str, Any] | None = None,
        body: str | None = None,
        deadline: float = math.inf,
        timeout: float | None = None,
        most: int = MAX_BODY,
        about: Sequence[str] = (),
    ) -> Response:
        """Send one request, and once more with a new token where the first was answered 401.

        `about` names what a 401 may be due to besides the token: ids; the path where it is empty.
        """
        about = about or (path,)
        while True:
            self._tokens.token()  # before the budget: a request without a token is never sent, so it must not count
            self._limits.acquire(route, deadline)
            try:
                token = self._tokens.token()
                usage.requests += 1
                exchange = Exchange(self._transport, timeout or self._timeout, most)
                response = self._send(exchange, method, path, query=query, body=body, token=token.value)
            finally:
                self._limits.release(route)
            self._limits.update_from_headers(route, rate_limit(response.headers))
            if response.status == 200 or (200 < response.status < 300 and response.data):
                self._tokens.accepted(token, about)
                self._limits.reset_backoff(route)
                return response
            error = from_answer(response.status, response.headers, response.data, now=self._now())
            if isinstance(error, RateLimited):
                self._limits.pause(error.route or route, error.retry_after, error.source)
                raise error
            self._limits.reset_backoff(route)
            if error.retry_after is not None and route != "observations":
                self._limits.hold(route, error.retry_after)
            if not isinstance(error, TokenRejected) or not self._tokens.renew(token, about):
                raise error
            usage.retries += 1

    def _send(
        self,
        exchange: Exchange,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None,
        body: str | None,
        token: str,
    ) -> Response:
        client = self._sdk.ApiClient(self._api_url)
        client.set_http_client(exchange)
        client.user_agent = f"queuetick/{__version__} {client.user_agent}"
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        client.call_api(path, method, query_params=query, header_params=headers, body=body)
        assert exchange.response is not None  # noqa: S101 - call_api returns only after our request() did
        return exchange.response
