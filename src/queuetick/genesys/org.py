"""One organisation as one configuration reaches it: transport, account and client, put together here."""

from __future__ import annotations

import random
from collections.abc import Callable

from queuetick.clock import Clock
from queuetick.config import Config, Credentials
from queuetick.genesys import sdk
from queuetick.genesys.auth import TokenSource, TokenState
from queuetick.genesys.client import Client
from queuetick.genesys.hosts import hosts
from queuetick.genesys.login import Login
from queuetick.genesys.metric_set import MetricSet
from queuetick.genesys.rate_limit import RateLimiter
from queuetick.genesys.transport import Transport

Uniform = Callable[[float, float], float]


class Account:
    """One OAuth client at one login host: its token, its limits, and the metrics that it may ask for.

    A reload gives it to the next org.
    """

    def __init__(
        self,
        credentials: Credentials,
        login_url: str,
        requests_per_minute: int,
        *,
        clock: Clock,
        emit: Callable[..., None],
        uniform: Uniform,
    ) -> None:
        self.credentials = credentials
        self.login_url = login_url
        self.token = TokenState()
        self.metrics = MetricSet()
        self.limits = RateLimiter(
            requests_per_minute,
            monotonic=clock.monotonic,
            now=clock.now,
            wait=clock.wait,
            uniform=uniform,
            emit=emit,
        )


class Org:
    """The collaborators of a cycle. A reload that changes hosts, credentials or connections makes a new one."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock,
        emit: Callable[..., None],
        redact: Callable[[str], None],
        uniform: Uniform = random.uniform,
        earlier: Org | None = None,
        transport: Transport | None = None,
    ) -> None:
        """`redact(token)` masks a token before a line could hold it; `transport` replaces real sockets in tests.

        The account of `earlier` goes on where credentials and login host are the same: a reload while the login host
        is away costs no cycle.
        """
        self.config = config
        self.hosts = where = hosts(
            sdk.region_hosts()[config.genesys.region],
            api_url=config.genesys.api_url,
            login_url=config.genesys.login_url,
        )
        self.transport = transport or Transport(
            # Beside the batches: a refresh, queue.stats and a reload's login. urllib3 warns of each one too many.
            connections=config.poll.concurrency + 3,
            proxy_for=config.proxy_for,
            ca_bundle=config.genesys.ca_bundle,
        )
        known: Account | None = earlier.account if earlier is not None else None
        if known is None or (known.credentials, known.login_url) != (config.credentials, where.login_url):
            known = Account(
                config.credentials,
                where.login_url,
                config.poll.requests_per_minute,
                clock=clock,
                emit=emit,
                uniform=uniform,
            )
        self.account: Account = known
        login = Login(
            self.transport,
            login_url=where.login_url,
            region=_region(config),
            credentials=config.credentials,
            timeout=config.genesys.timeout,
            now=clock.now,
        )
        self.client = Client(
            self.transport,
            TokenSource(
                login,
                self.account.token,
                monotonic=clock.monotonic,
                emit=emit,
                redact=redact,
                uniform=uniform,
                pause=self.account.limits.pause,
            ),
            self.account.limits,
            self.account.metrics,
            api_url=where.api_url,
            endpoint=config.genesys.endpoint,
            timeout=config.genesys.timeout,
            monotonic=clock.monotonic,
            now=clock.now,
        )

    @property
    def limits(self) -> RateLimiter:
        """What the account may send."""
        return self.account.limits

    def close(self) -> None:
        """Let go of idle connections."""
        self.transport.close()


def _region(config: Config) -> str:
    """How the login host was chosen, for messages."""
    if config.genesys.login_url is not None:
        return "genesys.login_url"
    if config.genesys.api_url is not None:
        return "from genesys.api_url"
    default = "" if "genesys.region" in config.origins else ", the default"
    return f"region {config.genesys.region}{default}"
