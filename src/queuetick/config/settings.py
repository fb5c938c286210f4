"""The types of the configuration: one class for each section, with defaults, limits and descriptions."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from queuetick.config.proxies import Proxy, bypasses, without_login
from queuetick.events import ConfigWarning, Level, Problem
from queuetick.events.thresholds import Threshold

Names = tuple[str, ...]


class Genesys(Struct, frozen=True):
    """Where the API is and how to reach it."""

    org: Annotated[str | None, Meta(description="the name of this organisation in every line")] = None
    region: Annotated[str, Meta(description="a region of the SDK's own table, such as us-east-1")] = (
        "us-east-1"
    )
    endpoint: Annotated[
        Literal["observations", "details"],
        Meta(description='"observations" or, for gateways that offer it, "details"'),
    ] = "observations"
    api_url: Annotated[str | None, Meta(description="https URL that replaces the region's API host")] = None
    login_url: Annotated[str | None, Meta(description="https URL that replaces the region's login host")] = (
        None
    )
    timeout: Annotated[
        float, Meta(gt=0, le=120, description="seconds for one request, above 0 and up to 120")
    ] = 10
    proxy: Annotated[str | None, Meta(description="URL of an HTTP proxy; HTTPS_PROXY is honoured too")] = None
    ca_bundle: Annotated[str | None, Meta(description="the path of a PEM file with the CAs to trust")] = None

    def __repr__(self) -> str:
        return f"Genesys(region={self.region!r})"


class Queues(Struct, frozen=True):
    """Which queues are polled."""

    ids: Annotated[Names, Meta(description="a list of queue UUIDs")] = ()
    names: Annotated[
        Names | None,
        Meta(description='a list of patterns on the queue name; default ["*"], or [] where ids are given'),
    ] = None
    divisions: Annotated[Names, Meta(description="a list of division names or ids; empty: all")] = ()
    exclude: Annotated[
        Names, Meta(description="a list of patterns on the name, or ids, that are left out")
    ] = ()
    refresh: Annotated[
        float, Meta(ge=1, le=86_400, description="seconds between discoveries, 1 to 86400 (a day)")
    ] = 600

    @property
    def name_globs(self) -> Names:
        """The globs in force: explicit ids alone mean that nothing else is asked for."""
        if self.names is not None:
            return self.names
        return () if self.ids else ("*",)


class Poll(Struct, frozen=True):
    """How often and how wide."""

    interval: Annotated[
        float, Meta(ge=0.1, le=3600, description="seconds from cycle to cycle, 0.1 to 3600")
    ] = 15
    batch_size: Annotated[
        int, Meta(ge=1, le=200, description="the queues in one request, 1 to 200 (the API's maximum)")
    ] = 20
    concurrency: Annotated[int, Meta(ge=1, le=64, description="the requests at the same time, 1 to 64")] = 4
    requests_per_minute: Annotated[
        int, Meta(ge=1, le=1_000_000, description="the token's budget, 1 to 1000000")
    ] = 300


class Output(Struct, frozen=True):
    """Where the lines go."""

    path: Annotated[str, Meta(min_length=1, description='"-" for stdout, or the path of a file')] = "-"
    profile: Annotated[
        Literal["plain", "ecs", "otel"], Meta(description='"plain", "ecs" or "otel": the field names')
    ] = "plain"
    media: Annotated[
        Literal["all", "active", "none"],
        Meta(description='"all", "active" (without media where every count is 0) or "none"'),
    ] = "all"
    snapshots: Annotated[
        Literal["all", "changed"],
        Meta(description='"all", or "changed": a queue\'s line only when it differs from its last one'),
    ] = "all"
    heartbeat: Annotated[
        float,
        Meta(ge=1, le=86_400, description="seconds after which an unchanged queue is written all the same"),
    ] = 60


class Stats(Struct, frozen=True):
    """queue.stats: what happened today. Off unless enabled."""

    enabled: Annotated[bool, Meta(description="true or false: whether queue.stats is written")] = False
    every: Annotated[
        float,
        Meta(ge=15, le=86_400, description="seconds between two requests for the same queue, 15 to 86400"),
    ] = 60
    timezone: Annotated[
        str, Meta(description="the IANA time zone whose midnight begins the day, such as Europe/Berlin")
    ] = "UTC"


class Log(Struct, frozen=True):
    """Which operational events are written; queue.snapshot always is."""

    level: Annotated[Level, Meta(description="debug, info, warning, error or critical")] = "info"


class Metrics(Struct, frozen=True):
    """Prometheus text, with the extra queuetick[metrics]."""

    listen: Annotated[str | None, Meta(description="host:port, such as 127.0.0.1:9477")] = None
    tls_cert: Annotated[str | None, Meta(description="path of a PEM file with the server's certificate")] = (
        None
    )
    tls_key: Annotated[str | None, Meta(description="path of a PEM file with the certificate's key")] = None
    tls_client_ca: Annotated[
        str | None, Meta(description="path of a PEM file with the CAs whose client certificates may scrape")
    ] = None


class Credentials(Struct, frozen=True):
    """The OAuth client. Neither part shows in a repr."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return "Credentials(***)"


class Source(Struct, frozen=True):
    """One place where settings were looked for."""

    name: str
    """A path, or "environment"."""
    state: Literal["read", "absent", "ignored"]
    reason: str | None = None
    """Why it is ignored."""


class Config(Struct, frozen=True, kw_only=True):
    """Everything in force; `source` is the file that was read, if any. `thresholds` comes from `[[thresholds]]`."""

    credentials: Credentials
    genesys: Genesys = Genesys()
    queues: Queues = Queues()
    poll: Poll = Poll()
    output: Output = Output()
    log: Log = Log()
    metrics: Metrics = Metrics()
    stats: Stats = Stats()
    thresholds: tuple[Threshold, ...] = ()
    source: str | None = None
    sources: tuple[Source, ...] = ()
    """Every source that was looked at, in the order in which later ones win."""
    origins: Mapping[str, str] = {}
    """Where each value that is no default came from: "poll.interval" -> "/etc/queuetick/config.toml"."""
    proxy: Proxy | None = None
    """From `genesys.proxy` or HTTPS_PROXY. Ask `proxy_for`, which knows NO_PROXY too."""
    no_proxy: tuple[str, ...] = ()
    proxy_secrets: tuple[str, ...] = ()
    """Of every proxy that any source names, in force or not."""
    hints: tuple[ConfigWarning, ...] = ()
    """Warnings about the sources: variables that queuetick does not read."""

    def __repr__(self) -> str:
        return f"Config(source={self.source!r})"

    def proxy_for(self, url: str) -> Proxy | None:
        """The proxy that a request for `url` goes through, None where it goes direct."""
        if self.proxy is None or (self.proxy.https_only and not url.startswith("https:")):
            return None
        return None if bypasses(self.no_proxy, url) else self.proxy

    def masked(self) -> dict[str, Any]:
        """What `daemon.started` shows: every setting, no secret."""
        shown: dict[str, Any] = {name: msgspec.to_builtins(getattr(self, name)) for name in SECTIONS}
        if self.genesys.proxy is not None:
            shown["genesys"]["proxy"] = without_login(self.genesys.proxy)
        shown["thresholds"] = msgspec.to_builtins(self.thresholds)
        shown["credentials"] = {"client_id": "***", "client_secret": "***"}
        shown["source"] = self.source
        return shown

    def secrets(self) -> list[str]:
        """Every string that must not be printed, longest first.

        The credentials, also as HTTP Basic, and the logins of proxies; each as it is and URL-encoded.
        """
        pair = f"{self.credentials.client_id}:{self.credentials.client_secret}"
        basic = base64.b64encode(pair.encode("utf-8", "replace")).decode("ascii")
        plain = [self.credentials.client_secret, self.credentials.client_id, pair, basic, *self.proxy_secrets]
        encoded = [quote(secret, safe="", errors="replace") for secret in plain]
        return sorted(
            {secret for secret in (*plain, *encoded) if secret}, key=lambda text: (-len(text), text)
        )

    def changed(self, other: Config) -> list[str]:
        """Keys whose value differs in `other`; secrets by name only."""
        keys = [
            f"{section}.{name}"
            for section in SECTIONS
            for name in getattr(self, section).__struct_fields__
            if getattr(getattr(self, section), name) != getattr(getattr(other, section), name)
        ]
        if self.thresholds != other.thresholds:
            keys.append("thresholds")
        if "genesys.proxy" not in keys and self.proxy != other.proxy:
            keys.append("HTTPS_PROXY")
        if self.no_proxy != other.no_proxy:
            keys.append("NO_PROXY")
        keys += [
            name
            for name in ("client_id", "client_secret")
            if getattr(self.credentials, name) != getattr(other.credentials, name)
        ]
        return keys


SECTIONS: dict[str, type[Struct]] = {
    "genesys": Genesys,
    "queues": Queues,
    "poll": Poll,
    "output": Output,
    "stats": Stats,
    "log": Log,
    "metrics": Metrics,
}


class ConfigError(Exception):
    """The configuration is invalid; `problems` lists all that is wrong with it.

    `sources` are the places where settings were looked for, `origins` those of the settings found; empty where unknown.
    """

    def __init__(
        self,
        problems: list[Problem],
        sources: tuple[Source, ...] = (),
        origins: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{len(problems)} problem(s) in the configuration")
        self.problems = problems
        self.sources = sources
        self.origins = origins or {}
