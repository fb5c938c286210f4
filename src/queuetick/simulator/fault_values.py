"""The types of the values that Faults and Rule take, and how a value is held against one."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

AnswerFault = Literal[
    "hang", "reset", "half_answer", "html", "wrong_content_type", "garbage", "nan", "wrong_types", "no_results",
    "duplicate_groups", "shuffle", "huge_body", "revoke",
]  # fmt: skip
ANSWER_FAULTS: tuple[str, ...] = get_args(AnswerFault)
"""Faults of one answer: probabilities in Faults, steps of `script`, `fault` of a rule."""
LOGIN_FAULTS = ("hang", "reset", "html", "garbage")
"""Of the token endpoint; as probabilities in Faults with `login_` before them."""

Share = Annotated[float, Meta(ge=0, le=1)]
"""Also a probability."""
Amount = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Ids = tuple[str, ...]
Chosen = Share | Ids
"""Queue ids, or a share of all queues."""
Statuses = Mapping[Annotated[int, Meta(ge=400, le=599)], Share]
"""HTTP status to its probability."""
Step = Annotated[str, Meta(pattern=rf"^(ok|[45]\d\d|{'|'.join(ANSWER_FAULTS)})\Z")]
Name = Annotated[str, Meta(pattern=r"^([^\W\d]\w*)?\Z")]


class UnknownFaultError(ValueError):
    """A fault that does not exist, or a value it cannot have. The message is for people."""


def checked(name: str, kind: Any, value: Any) -> Any:
    """`value`, plain data of JSON or TOML, as the type `kind` has it. Raises UnknownFaultError."""
    try:
        return msgspec.convert(value, kind, str_keys=True)
    except msgspec.ValidationError as error:
        raise UnknownFaultError(f"{name}: {error}; docs/simulator.md says what it may be") from None
