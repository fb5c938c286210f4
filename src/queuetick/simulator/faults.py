"""Every fault of the simulator, by name. All are off by default.

A probability is drawn per API request, and one request meets at most one of them; what `only` does
not name meets none. Latency comes on top. Every default is what a well-behaved Genesys Cloud does.
"""

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from queuetick.simulator.fault_rules import ANSWER_FAULTS, Rule, UnknownFaultError
from queuetick.simulator.fault_values import plain, problem
from queuetick.simulator.named_faults import knobs_of

__all__ = ["ANSWER_FAULTS", "Faults", "Rule", "UnknownFaultError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The knobs. Durations are seconds, probabilities 0 to 1."""

    # --- tokens ---
    token_lifetime: float = 86400.0
    """Seconds until a token expires (by the simulator's clock). Genesys Cloud allows 300 to 172800."""
    token_idle_timeout: float = 0.0
    """A token unused for this long dies early, as in a HIPAA organization (900); 0: it does not."""
    stated_lifetime: float | None = None
    """What `expires_in` says instead of the truth."""
    revoke: float = 0.0
    """Probability that a request finds its token revoked: 401 bad.credentials."""

    # --- the rate limit ---
    rate_limit: int = 300
    """Requests per token and window; 0 switches the limit off."""
    window: str = "fixed"
    """`fixed`: 60 s from a token's first request. `sliding`: any 60 s."""
    retry_after: str | float = "seconds"
    """`seconds`, `date` (HTTP date), `absent`, or a number of seconds to say whatever is true."""
    rate_limit_headers: bool = True
    """Whether `inin-ratelimit-*` is sent. Reported as deprecated, so it may be missing."""
    legacy_429: bool = False
    """The 429 body from before November 2021."""

    # --- answers of the API ---
    status: Mapping[int, float] = field(default_factory=dict)
    """HTTP status to the probability that a request is answered with it."""
    status_retry_after: float | None = None
    """Seconds that `Retry-After` says beside a `status` fault of 429, 502, 503 or 504."""
    hang: float = 0.0
    """Probability that no answer ever comes."""
    reset: float = 0.0
    """Probability that the connection is reset instead of answered."""
    half_answer: float = 0.0
    """Probability that the connection closes in the middle of the body."""
    html: float = 0.0
    """Probability of 200 with an HTML page, as captive portals and proxies send."""
    wrong_content_type: float = 0.0
    """Probability that good JSON is labelled `text/plain`."""
    garbage: float = 0.0
    """Probability that a body labelled JSON is not JSON."""
    nan: float = 0.0
    """Probability that counts are NaN and Infinity, which JSON does not have."""
    wrong_types: float = 0.0
    """Probability that counts are strings, lists and null."""
    no_results: float = 0.0
    """Probability that the body is valid JSON without what it is for."""
    duplicate_groups: float = 0.0
    """Probability that every group comes twice."""
    shuffle: float = 0.0
    """Probability that groups and their entries come in another order, as they are free to."""
    huge_body: float = 0.0
    """Probability that the body is padded to `huge_body_bytes`."""
    huge_body_bytes: int = 20_000_000
    latency: float = 0.0
    """Median seconds before an answer, on the real clock."""
    latency_sigma: float = 0.0
    """Spread of the latency: sigma of a lognormal distribution; 0: always the median."""
    latency_max: float = 60.0
    """No answer is later than this, in seconds."""
    only: tuple[str, ...] = ()
    """Parts of paths: the faults above and `script` then touch only requests whose path has one."""
    script: tuple[str, ...] = ()
    """Faults of the next API requests, in order: a name, a status, or `ok`. Comes before chance."""

    # --- chosen requests ---
    rules: tuple[Rule, ...] = ()
    """Faults of chosen requests, in order; see Rule."""

    # --- the listing of queues ---
    listing_empty: bool = False
    """Whether the listing has no queue at all: total 0, pageCount 0."""
    listing_total: int | None = None
    """What `total` says instead of the truth."""
    listing_page_count: int | float | str | None = None
    """What `pageCount` says instead of the truth, as that type."""
    listing_page_cap: int = 0
    """Rows that a page has at most, while pageSize and pageCount are those asked for; 0: no cap."""
    listing_cut: Mapping[int, int] = field(default_factory=dict)
    """Page number to the rows that are left of that page."""
    listing_unreadable: float | tuple[str, ...] = ()
    """Queue ids, or a share, whose rows cannot be read: null, a string, or without a usable id."""
    listing_repeated: float | tuple[str, ...] = ()
    """Queue ids, or a share, whose rows come twice."""
    listing_deletes: float | tuple[str, ...] = ()
    """Queue ids, or a share, deleted for good as soon as the first page of a listing has been answered."""

    # --- queues ---
    missing_queues: float | tuple[str, ...] = ()
    """Queue ids, or a share of all queues, that answers silently leave out."""
    queues_without_data: float | tuple[str, ...] = ()
    """Queue ids, or a share, whose groups come without `data`."""
    bad_ids: tuple[str, ...] = ()
    """Queue ids for which a whole request is answered 400."""
    unknown_queue: str = "absent"
    """An id nobody has: `absent`, `no_data` (a group without data) or `bad_request` (400)."""
    unknown_media: str = ""
    """A media type nobody knows, under which `message` is reported; empty: `message`."""
    denied_permissions: tuple[str, ...] = ()
    """Permissions taken away: 403 for what needs them."""

    # --- clock ---
    clock_skew: float = 0.0
    """Seconds by which the `Date` header is ahead of the simulator's clock."""

    # --- the token endpoint ---
    login_status: Mapping[int, float] = field(default_factory=dict)
    """HTTP status to the probability that a login is answered with it; 429 has a Retry-After."""
    login_retry_after: float = 5.0
    """Seconds that Retry-After says beside a `login_status` of 429 or 503."""
    login_latency: float = 0.0
    """Seconds before a login is answered, on the real clock."""
    login_hang: float = 0.0
    login_reset: float = 0.0
    login_html: float = 0.0
    login_garbage: float = 0.0
    """Probability that the login's JSON lacks `access_token`."""

    def __post_init__(self) -> None:
        problems = [found for each in fields(self) if (found := problem(each, getattr(self, each.name)))]
        if not problems:
            problems = [found for table in ("", "login_") if (found := self._sum_problem(table))]
        if problems:
            raise UnknownFaultError("; ".join(problems))

    def _sum_problem(self, table: str) -> str | None:
        names = ("hang", "reset", "html", "garbage") if table else ANSWER_FAULTS
        total: float = sum(getattr(self, table + name) for name in names)
        total += sum(getattr(self, f"{table}status").values())
        if total > 1.0 + 1e-9:
            return f"the probabilities of {table or 'answer '}faults add up to {total:g}, above 1"
        return None

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], base: Self | None = None) -> Self:
        """Read plain data (JSON, TOML); what it does not name stays as in `base`.

        `named` lists faults of named_faults; the knobs beside it come on top. Raises UnknownFaultError.
        """
        names = values.get("named", ())
        if not isinstance(names, list | tuple):
            raise UnknownFaultError(f"named is a list of names, not {names!r}")
        values = knobs_of(names) | {name: value for name, value in values.items() if name != "named"}
        known = {each.name: each for each in fields(cls)}
        unknown = [name for name in values if name not in known]
        if unknown:
            close = difflib.get_close_matches(unknown[0], known, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise UnknownFaultError(
                f"unknown fault {', '.join(map(repr, unknown))}{hint}; the known names are {', '.join(sorted(known))}"
            )
        changes = {name: plain(known[name], value) for name, value in values.items()}
        return replace(base, **changes) if base is not None else cls(**changes)

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
        mapping: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return mapping
