"""Rules: faults of chosen requests. `[[rules]]` of a faults file; each says which requests, and what they get."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from typing import Any

from queuetick.simulator.routes import ROUTES

BODIES = ("error", "html", "json", "empty", "echo")

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
"""Faults of one answer: probabilities in Faults, steps of `script`, `fault` of a rule."""


class UnknownFaultError(ValueError):
    """A fault that does not exist, or a value it cannot have. The message is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. Which requests: the first block; what they get: the second. Durations are seconds."""

    route: tuple[str, ...] = ()
    """Names of ROUTES; empty: every request but logins."""
    queues: float | tuple[str, ...] = ()
    """Only requests that name one of these queue ids, or of a share of all queues."""
    above: int = 0
    """Only requests that name more than so many queues."""
    metric: str = ""
    """Only queries that ask for this metric."""
    after: int = 0
    """How many matching requests the rule skips first."""
    times: int = 0
    """How many requests the rule applies to before it ends; 0: no end. Counted from when the rules were set."""
    chance: float = 1.0
    """Probability that the rule applies to a matching request."""

    status: int = 0
    """Answer with this status; 0: the answer stays as it is, or is a 200 with `text`."""
    body: str = "error"
    """Of an answer with `status`: `error` is Genesys Cloud's own error body; `html` a page, `json` JSON of
    another shape, `empty` nothing, as somebody on the way answers; `echo` an error body that repeats the
    request's Authorization header and body."""
    text: str | None = None
    """The body itself, as JSON text; in place of `body`."""
    code: str = ""
    """Code of the error body; empty: the usual one of the status."""
    message: str = ""
    limit: str = ""
    """Name of the limit that the error body says was hit, such as token.rate.per.minute."""
    retry_after: float | None = None
    headers: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Headers to add, or to put in place of those of the same name; a list sends the header repeatedly."""
    fault: str = ""
    """A name of ANSWER_FAULTS, such as hang."""
    delay: float = 0.0
    """Seconds, on the real clock, by which the answer comes later."""

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise UnknownFaultError(f"rules: {problem}")

    def _problem(self) -> str | None:
        for name in self.route:
            if name not in ROUTES:
                return f"route is one of {', '.join(ROUTES)}, not {name!r}"
        if self.status and not 200 <= self.status <= 599:
            return f"status is between 200 and 599, not {self.status}"
        if self.body not in BODIES:
            return f"body is one of {', '.join(BODIES)}, not {self.body!r}"
        if self.fault and self.fault not in ANSWER_FAULTS:
            return f"fault is one of {', '.join(ANSWER_FAULTS)}, not {self.fault!r}"
        if self.fault == "revoke" and self.needs_content:
            return "revoke comes before the request is read: it cannot depend on queues, above or metric"
        if not 0 <= self.chance <= 1:
            return f"chance is between 0 and 1, not {self.chance!r}"
        if min(self.above, self.after, self.times, self.delay, self.retry_after or 0) < 0:
            return "above, after, times, delay and retry_after are at least 0"
        if not (self.answers or self.fault or self.delay or self.headers):
            return "a rule needs a status, text, headers, fault or delay"
        return None

    @property
    def answers(self) -> bool:
        """Whether the rule gives an answer of its own."""
        return bool(self.status) or self.text is not None

    @property
    def needs_content(self) -> bool:
        """Whether only the request's body or path tells if it matches."""
        return bool(self.queues or self.above or self.metric)

    @property
    def name(self) -> str:
        """As the log of requests shows it: the fault, or status and body."""
        if self.fault:
            return self.fault
        status = self.status or 200
        return f"{status}" if self.text is None and self.body == "error" else f"{status}/{self.body}"

    def all_headers(self) -> dict[str, str | Sequence[str]]:
        found: dict[str, str | Sequence[str]] = dict(self.headers)
        if self.retry_after is not None:
            found.setdefault("Retry-After", f"{self.retry_after:g}")
        return found

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Rule":
        """Read plain data (JSON, TOML). Raises UnknownFaultError."""
        if not isinstance(values, Mapping):
            raise UnknownFaultError(f"rules is a list of tables, not {values!r}")
        known = {each.name: each for each in fields(cls)}
        plain = dict(values)
        for name, value in plain.items():
            if name not in known:
                raise UnknownFaultError(f"rules: unknown {name!r}; the known names are {', '.join(known)}")
            if name == "queues" and isinstance(value, int | float):
                continue
            if name in ("route", "queues"):
                plain[name] = (value,) if isinstance(value, str) else tuple(map(str, value))
            elif name not in ("headers", "retry_after", "text"):
                wanted = type(known[name].default)
                if isinstance(value, bool) or not isinstance(
                    value, (int, float) if wanted is float else wanted
                ):
                    raise UnknownFaultError(f"rules: {name} is a {wanted.__name__}, not {value!r}")
        return cls(**plain)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, once it has been read."""

    queue_ids: frozenset[str]
    metrics: frozenset[str]


class RuleDraws:
    """Which rules apply to a request: counts `after` and `times`. Only the serving thread uses it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rules: tuple[Rule, ...] = ()
        self._matched: list[int] = []

    def met(
        self, rules: tuple[Rule, ...], route: str | None, asked: Asked | None, rng: random.Random
    ) -> list[Rule]:
        """The rules that apply, in their order, up to the first that answers.

        With `asked` those that look into the request, without it the others: each request comes by twice.
        """
        if rules is not self._rules:
            self._rules, self._matched = rules, [0] * len(rules)
        found = []
        for position, rule in enumerate(rules):
            if rule.needs_content is (asked is None) or not self._matches(rule, route, asked):
                continue
            self._matched[position] += 1
            turn = self._matched[position] - rule.after
            if turn <= 0 or (rule.times and turn > rule.times):
                continue
            if rule.chance < 1.0 and rng.random() >= rule.chance:
                continue
            found.append(rule)
            if rule.answers:
                break
        return found

    def _matches(self, rule: Rule, route: str | None, asked: Asked | None) -> bool:
        if not (route in rule.route if rule.route else route != "login"):
            return False
        if asked is None:
            return True
        if rule.queues and not self.concerned(rule, asked.queue_ids):
            return False
        if rule.above and len(asked.queue_ids) <= rule.above:
            return False
        return not rule.metric or rule.metric in asked.metrics

    def concerned(self, rule: Rule, queue_ids: Iterable[str]) -> list[str]:
        """The ids that `queues` of the rule selects."""
        return [each for each in queue_ids if concerns(each, rule.queues, self._seed, f"rule {rule.name}")]


def concerns(queue_id: str, chosen: float | tuple[str, ...], seed: int, purpose: str) -> bool:
    """Whether a queue is among those chosen by id, or by share: the same queues for a seed, always."""
    if isinstance(chosen, tuple):
        return queue_id in chosen
    if chosen <= 0.0:
        return False
    digest = blake2b(f"{seed}/{purpose}/{queue_id}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32 < chosen
