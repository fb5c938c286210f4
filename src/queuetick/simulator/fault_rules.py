"""Rules: faults of chosen requests. `[[rules]]` of a faults file; each says which requests, and what they get."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import msgspec

from queuetick.simulator.fault_values import Amount, AnswerFault, Chosen, Count, Ids, Share
from queuetick.simulator.routes import ROUTES


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule. Which requests: the first block; what they get: the second. Durations are seconds."""

    route: str | Ids = ()
    """Names of ROUTES; empty: every request but logins."""
    queues: Chosen = ()
    """Only requests that name one of these queue ids, or of a share of all queues."""
    above: Count = 0
    """Only requests that name more than so many queues."""
    metric: str = ""
    """Only queries that ask for this metric."""
    after: Count = 0
    """How many matching requests the rule skips first."""
    times: Count = 0
    """How many requests the rule applies to before it ends; 0: no end. Counted from when the rules were set."""
    chance: Share = 1.0
    """Probability that the rule applies to a matching request."""

    status: int = 0
    """Answer with this status; 0: the answer stays as it is, or is a 200 with `text`."""
    body: Literal["error", "html", "json", "empty", "echo"] = "error"
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
    retry_after: Amount | None = None
    headers: Mapping[str, str | tuple[str, ...]] = {}
    """Headers to add, or to put in place of those of the same name; a list sends the header repeatedly."""
    fault: AnswerFault | Literal[""] = ""
    delay: Amount = 0.0
    """Seconds, on the real clock, by which the answer comes later."""

    def __post_init__(self) -> None:
        # Not a pattern of the type: msgspec 0.22 frees one twice that is in a union with an array.
        if isinstance(self.route, str):
            msgspec.structs.force_setattr(self, "route", (self.route,))
        if unknown := set(self.route) - set(ROUTES):
            raise ValueError(f"route is one of {', '.join(ROUTES)}, not {min(unknown)!r}")
        if self.status and not 200 <= self.status <= 599:
            raise ValueError(f"status is between 200 and 599, not {self.status}")
        if self.fault == "revoke" and self.needs_content:
            raise ValueError(
                "revoke comes before the request is read: it cannot depend on queues, above or metric"
            )
        if not (self.answers or self.fault or self.delay or self.headers):
            raise ValueError("a rule needs a status, text, headers, fault or delay")

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

    def all_headers(self) -> dict[str, str | tuple[str, ...]]:
        found = dict(self.headers)
        if self.retry_after is not None:
            found.setdefault("Retry-After", f"{self.retry_after:g}")
        return found


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
