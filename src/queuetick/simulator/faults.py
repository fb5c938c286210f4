"""Every fault of the simulator, by name. All are off by default.

A probability is drawn per API request, and one request meets at most one of them; what `only` does
not name meets none. Latency comes on top. Every default is what a well-behaved Genesys Cloud does.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from queuetick.simulator.fault_rules import Rule
from queuetick.simulator.fault_values import (
    ANSWER_FAULTS,
    LOGIN_FAULTS,
    Amount,
    Chosen,
    Count,
    Ids,
    Name,
    Share,
    Statuses,
    Step,
    UnknownFaultError,
    checked,
)
from queuetick.simulator.named_faults import knobs_of

__all__ = ["ANSWER_FAULTS", "Faults", "Rule", "UnknownFaultError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The knobs. Durations are seconds, probabilities 0 to 1."""

    # --- tokens ---
    token_lifetime: Amount = 86400.0
    """Seconds until a token expires (by the simulator's clock). Genesys Cloud allows 300 to 172800."""
    token_idle_timeout: Amount = 0.0
    """A token unused for this long dies early, as in a HIPAA organization (900); 0: it does not."""
    stated_lifetime: Amount | None = None
    """What `expires_in` says instead of the truth."""
    revoke: Share = 0.0
    """Probability that a request finds its token revoked: 401 bad.credentials."""

    # --- the rate limit ---
    rate_limit: Count = 300
    """Requests per token and window; 0 switches the limit off."""
    window: Literal["fixed", "sliding"] = "fixed"
    """`fixed`: 60 s from a token's first request. `sliding`: any 60 s."""
    retry_after: Amount | Literal["seconds", "date", "absent"] = "seconds"
    """`seconds`, `date` (HTTP date), `absent`, or a number of seconds to say whatever is true."""
    rate_limit_headers: bool = True
    """Whether `inin-ratelimit-*` is sent. Reported as deprecated, so it may be missing."""
    legacy_429: bool = False
    """The 429 body from before November 2021."""

    # --- answers of the API ---
    status: Statuses = field(default_factory=dict)
    """HTTP status to the probability that a request is answered with it."""
    status_retry_after: Amount | None = None
    """Seconds that `Retry-After` says beside a `status` fault of 429, 502, 503 or 504."""
    hang: Share = 0.0
    """Probability that no answer ever comes."""
    reset: Share = 0.0
    """Probability that the connection is reset instead of answered."""
    half_answer: Share = 0.0
    """Probability that the connection closes in the middle of the body."""
    html: Share = 0.0
    """Probability of 200 with an HTML page, as captive portals and proxies send."""
    wrong_content_type: Share = 0.0
    """Probability that good JSON is labelled `text/plain`."""
    garbage: Share = 0.0
    """Probability that a body labelled JSON is not JSON."""
    nan: Share = 0.0
    """Probability that counts are NaN and Infinity, which JSON does not have."""
    wrong_types: Share = 0.0
    """Probability that counts are strings, lists and null."""
    no_results: Share = 0.0
    """Probability that the body is valid JSON without what it is for."""
    duplicate_groups: Share = 0.0
    """Probability that every group comes twice."""
    shuffle: Share = 0.0
    """Probability that groups and their entries come in another order, as they are free to."""
    huge_body: Share = 0.0
    """Probability that the body is padded to `huge_body_bytes`."""
    huge_body_bytes: Count = 20_000_000
    latency: Amount = 0.0
    """Median seconds before an answer, on the real clock."""
    latency_sigma: Amount = 0.0
    """Spread of the latency: sigma of a lognormal distribution; 0: always the median."""
    latency_max: Amount = 60.0
    """No answer is later than this, in seconds."""
    only: Ids = ()
    """Parts of paths: the faults above and `script` then touch only requests whose path has one."""
    script: tuple[Step, ...] = ()
    """Faults of the next API requests, in order: a name, a status, or `ok`. Comes before chance."""

    # --- chosen requests ---
    rules: tuple[Rule, ...] = ()
    """Faults of chosen requests, in order; see Rule."""

    # --- the listing of queues ---
    listing_empty: bool = False
    """Whether the listing has no queue at all: total 0, pageCount 0."""
    listing_total: Count | None = None
    """What `total` says instead of the truth."""
    listing_page_count: int | float | str | None = None
    """What `pageCount` says instead of the truth, as that type."""
    listing_page_cap: Count = 0
    """Rows that a page has at most, while pageSize and pageCount are those asked for; 0: no cap."""
    listing_cut: Mapping[Count, Count] = field(default_factory=dict)
    """Page number to the rows that are left of that page."""
    listing_unreadable: Chosen = ()
    """Queue ids, or a share, whose rows cannot be read: null, a string, or without a usable id."""
    listing_repeated: Chosen = ()
    """Queue ids, or a share, whose rows come twice."""
    listing_deletes: Chosen = ()
    """Queue ids, or a share, deleted for good as soon as the first page of a listing has been answered."""

    # --- queues ---
    missing_queues: Chosen = ()
    """Queue ids, or a share of all queues, that answers silently leave out."""
    queues_without_data: Chosen = ()
    """Queue ids, or a share, whose groups come without `data`."""
    bad_ids: Ids = ()
    """Queue ids for which a whole request is answered 400."""
    unknown_queue: Literal["absent", "no_data", "bad_request"] = "absent"
    """An id nobody has: `absent`, `no_data` (a group without data) or `bad_request` (400)."""
    unknown_media: Name = ""
    """A media type nobody knows, under which `message` is reported; empty: `message`."""
    denied_permissions: Ids = ()
    """Permissions taken away: 403 for what needs them."""

    # --- clock ---
    clock_skew: float = 0.0
    """Seconds by which the `Date` header is ahead of the simulator's clock."""

    # --- the token endpoint ---
    login_status: Statuses = field(default_factory=dict)
    """HTTP status to the probability that a login is answered with it; 429 has a Retry-After."""
    login_retry_after: Amount = 5.0
    """Seconds that Retry-After says beside a `login_status` of 429 or 503."""
    login_latency: Amount = 0.0
    """Seconds before a login is answered, on the real clock."""
    login_hang: Share = 0.0
    login_reset: Share = 0.0
    login_html: Share = 0.0
    login_garbage: Share = 0.0
    """Probability that the login's JSON lacks `access_token`."""

    def __post_init__(self) -> None:
        for each in fields(self):
            given = getattr(self, each.name)
            value = checked(each.name, each.type, given)
            # What is equal stays the same object: by that the draws know a script and rules that go on.
            if value != given or type(value) is not type(given):
                object.__setattr__(self, each.name, value)
        for table in ("", "login_"):
            self._check_sum(table)

    def _check_sum(self, table: str) -> None:
        names = LOGIN_FAULTS if table else ANSWER_FAULTS
        total: float = sum(getattr(self, table + name) for name in names)
        total += sum(getattr(self, f"{table}status").values())
        if total > 1.0 + 1e-9:
            raise UnknownFaultError(
                f"the probabilities of {table or 'answer '}faults add up to {total:g}, above 1"
            )

    @property
    def media_names(self) -> dict[str, str]:
        """Media types that are reported under another name."""
        return {"message": self.unknown_media} if self.unknown_media else {}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], base: Self | None = None) -> Self:
        """Read plain data (JSON, TOML); what it does not name stays as in `base`.

        `named` lists faults of named_faults; the knobs beside it come on top. Raises UnknownFaultError.
        """
        names = values.get("named", ())
        if not isinstance(names, list | tuple):
            raise UnknownFaultError(f"named is a list of names, not {names!r}")
        values = knobs_of(names) | {name: value for name, value in values.items() if name != "named"}
        known = [each.name for each in fields(cls)]
        unknown = [name for name in values if name not in known]
        if unknown:
            close = difflib.get_close_matches(unknown[0], known, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise UnknownFaultError(
                f"unknown fault {', '.join(map(repr, unknown))}{hint}; the known names are {', '.join(sorted(known))}"
            )
        return cls(**values) if base is None else replace(base, **values)

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        with path.open("rb") as file:
            return cls.from_mapping(tomllib.load(file))

    @classmethod
    def hostile(cls) -> Self:
        """A bad day, all at once: about one answer in four is spoiled or missing, others are late."""
        return cls(
            token_lifetime=300.0,
            revoke=0.005,
            status={500: 0.02, 502: 0.02, 503: 0.03, 504: 0.02, 429: 0.01, 408: 0.005},
            status_retry_after=2.0,
            hang=0.004,
            reset=0.02,
            half_answer=0.015,
            html=0.015,
            wrong_content_type=0.01,
            garbage=0.01,
            nan=0.01,
            wrong_types=0.01,
            no_results=0.01,
            duplicate_groups=0.01,
            shuffle=0.03,
            huge_body=0.001,
            latency=0.08,
            latency_sigma=1.0,
            latency_max=8.0,
            missing_queues=0.03,
            queues_without_data=0.02,
            unknown_media="hologram",
            clock_skew=-37.0,
            login_status={500: 0.05, 503: 0.05, 429: 0.05},
            login_latency=0.2,
            login_reset=0.05,
            login_html=0.03,
        )

    def as_mapping(self) -> dict[str, Any]:
        """Plain data that from_mapping reads back."""
        mapping: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return mapping
