"""Every way in which the simulator can be asked to be difficult, by name. All off by default.

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

WINDOWS = ("fixed", "sliding")
RETRY_AFTER_FORMS = ("seconds", "date", "absent")
UNKNOWN_QUEUE_FORMS = ("absent", "no_data", "bad_request")

OBSERVATION_PERMISSION = "analytics:queueObservation:view"
QUEUE_PERMISSION = "routing:queue:view"
QUEUE_SEARCH_PERMISSION = "routing:queue:search"

ANSWER_FAULTS = (
    "hang",
    "reset",
    "half_answer",
    "html",
    "wrong_content_type",
    "garbage",
    "nan",
    "wrong_types",
    "no_results",
    "duplicate_groups",
    "shuffle",
    "huge_body",
    "revoke",
)
"""Fields of Faults that are probabilities of one spoiled answer; each is also a name for `script`."""


class UnknownFaultError(ValueError):
    """A fault nobody has heard of, or a value it cannot have. The message is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The knobs. Durations are seconds, probabilities 0 to 1."""

    # --- tokens ---
    token_lifetime: float = 86400.0
    """Seconds until a token dies (by the simulator's clock). Genesys Cloud allows 300 to 172800."""
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
    """Probability that a body labelled JSON is none."""
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

    # --- queues ---
    missing_queues: float | tuple[str, ...] = ()
    """Queue ids, or a share of all queues, that observations leave out without a word."""
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
        problems = [
            problem for each in fields(self) if (problem := _problem(each.name, getattr(self, each.name)))
        ]
        if not problems:
            problems = [problem for table in ("", "login_") if (problem := self._sum_problem(table))]
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
        """Read plain data (JSON, TOML); what it does not name stays as in `base`."""
        known = [each.name for each in fields(cls)]
        unknown = [name for name in values if name not in known]
        if unknown:
            close = difflib.get_close_matches(unknown[0], known, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise UnknownFaultError(
                f"unknown fault {', '.join(map(repr, unknown))}{hint}; known are {', '.join(sorted(known))}"
            )
        changes = {name: _plain(name, value) for name, value in values.items()}
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
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


_PROBABILITIES = (*ANSWER_FAULTS, "login_hang", "login_reset", "login_html", "login_garbage")
_TUPLES = ("bad_ids", "denied_permissions", "missing_queues", "only", "queues_without_data", "script")
_CHOICES = {"window": WINDOWS, "unknown_queue": UNKNOWN_QUEUE_FORMS}
_SHARES = ("missing_queues", "queues_without_data")
_SIGNED = ("clock_skew",)
_NULLABLE = ("stated_lifetime", "status_retry_after")


def _plain(name: str, value: Any) -> Any:
    """Bring JSON's and TOML's containers into the forms of the fields."""
    if name in _TUPLES and isinstance(value, list | tuple):
        return tuple(str(item) for item in value)
    if name in ("status", "login_status") and isinstance(value, Mapping):
        try:
            return {int(status): chance for status, chance in value.items()}
        except ValueError:
            raise UnknownFaultError(f"{name}: keys are HTTP statuses, not {list(value)}") from None
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _problem(name: str, value: Any) -> str | None:  # noqa: PLR0912 - a decision table
    if name in _PROBABILITIES:
        if not _is_number(value) or not 0 <= value <= 1:
            return f"{name} is a probability between 0 and 1, not {value!r}"
    elif name in ("status", "login_status"):
        if not isinstance(value, Mapping):
            return f"{name} maps HTTP statuses to probabilities, not {value!r}"
        for status, chance in value.items():
            if (
                not isinstance(status, int)
                or not 400 <= status <= 599
                or not _is_number(chance)
                or not 0 <= chance <= 1
            ):
                return f"{name} maps 400..599 to probabilities, not {status!r} to {chance!r}"
    elif name in _CHOICES:
        if value not in _CHOICES[name]:
            return f"{name} is one of {', '.join(_CHOICES[name])}, not {value!r}"
    elif name == "retry_after":
        if not (value in RETRY_AFTER_FORMS or (_is_number(value) and value >= 0)):
            return f"retry_after is {', '.join(RETRY_AFTER_FORMS)} or a number of seconds, not {value!r}"
    elif name in _SHARES and _is_number(value):
        if not 0 <= value <= 1:
            return f"{name} is a share between 0 and 1 or a list of ids, not {value!r}"
    elif name in _TUPLES:
        if not isinstance(value, tuple):
            return f"{name} is a list of strings, not {value!r}"
        if name == "script":
            return _script_problem(value)
    elif name in ("rate_limit_headers", "legacy_429"):
        if not isinstance(value, bool):
            return f"{name} is true or false, not {value!r}"
    elif name == "unknown_media":
        if not isinstance(value, str) or (value and not value.isidentifier()):
            return f"unknown_media is a name like hologram, not {value!r}"
    elif value is None and name in _NULLABLE:
        return None
    elif not _is_number(value) or (value < 0 and name not in _SIGNED):
        return f"{name} is a number of at least 0, not {value!r}"
    return None


def _script_problem(steps: tuple[str, ...]) -> str | None:
    for step in steps:
        is_status = step.isdecimal() and 400 <= int(step) <= 599
        if not is_status and step != "ok" and step not in ANSWER_FAULTS:
            return f"script: {step!r} is neither ok, nor a status, nor one of {', '.join(ANSWER_FAULTS)}"
    return None
