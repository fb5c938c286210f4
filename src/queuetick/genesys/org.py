"""One org as one configuration speaks to it: transport, token, budget and client, put together here."""

from __future__ import annotations

import random
from collections.abc import Callable

from queuetick.clock import Clock
from queuetick.config import Config
from queuetick.genesys import sdk
from queuetick.genesys.auth import Login, TokenSource
from queuetick.genesys.client import Client, hosts
from queuetick.genesys.rate_limit import RateLimiter
from queuetick.genesys.transport import Transport


class Session:
    """The collaborators of a cycle. A reload that changes hosts, credentials or connections makes a new one."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock,
        emit: Callable[..., None],
        redact: Callable[[str], None],
        uniform: Callable[[float, float], float] = random.uniform,
        earlier: Session | None = None,
        transport: Transport | None = None,
    ) -> None:
        """`redact(token)` hears every token before a line could hold it; `transport` stands in for real sockets.

        With unchanged credentials the budget, its pause and the token come from `earlier`: they belong to the OAuth
        client, and a reload while the login host is away must not cost a cycle.
        """
        self.config = config
        self.hosts = where = hosts(
            sdk.region_hosts()[config.genesys.region],
            api_url=config.genesys.api_url,
            login_url=config.genesys.login_url,
        )
        self._login_url = where.login_url
        self.transport = transport or Transport(
            connections=config.poll.concurrency + 1,
            proxy_for=config.proxy_for,
            ca_bundle=config.genesys.ca_bundle,
        )
        if earlier is not None and earlier.config.credentials == config.credentials:
            self.throttle: RateLimiter = earlier.throttle
            self.throttle.configure(config.poll.requests_per_minute)
        else:
            self.throttle = RateLimiter(
                config.poll.requests_per_minute,
                monotonic=clock.monotonic,
                now=clock.now,
                wait=clock.wait,
                uniform=uniform,
                emit=emit,
            )
        self.tokens = TokenSource(
            Login(
                self.transport,
                login_url=where.login_url,
                credentials=config.credentials,
                timeout=config.genesys.timeout,
                now=clock.now,
            ),
            monotonic=clock.monotonic,
            emit=emit,
            on_token=redact,
        )
        if earlier is not None and (earlier._login_url, earlier.config.credentials) == (
            self._login_url,
            config.credentials,
        ):
            self.tokens.adopt(earlier.tokens)
        self.client = Client(
            self.transport,
            self.tokens,
            self.throttle,
            api_url=where.api_url,
            endpoint=config.genesys.endpoint,
            timeout=config.genesys.timeout,
            monotonic=clock.monotonic,
            now=clock.now,
        )

    def close(self) -> None:
        """Let go of idle connections."""
        self.transport.close()
