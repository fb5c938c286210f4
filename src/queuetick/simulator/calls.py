"""A request, and what is known of it while it is being answered."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

from queuetick.simulator.faults import Faults


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    """Path and query as sent."""
    authorization: str | None
    content_type: str
    body: bytes

    @property
    def credentials(self) -> str:
        """What a Basic Authorization header has: client id, colon, secret; empty where it cannot be read."""
        try:
            return base64.b64decode((self.authorization or "").partition(" ")[2], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return ""


@dataclass(slots=True)
class Call:
    """One request while it is being answered."""

    request: Request
    path: str
    query: str
    route: str | None
    """A name of ROUTES; None for a path that the simulator does not answer."""
    now: float
    """Simulator's clock, epoch seconds."""
    faults: Faults
    queue_ids: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer, whatever it is."""
    rule_headers: dict[str, str | Sequence[str]] = field(default_factory=dict)
    """Headers of rules, which replace those of the answer."""
    delay: float = 0.0
    fault: str | None = None
    """The fault of the call: a name of ANSWER_FAULTS, a status, or a rule's name."""

    @property
    def fault_status(self) -> int | None:
        """The status of a fault that is one."""
        return int(self.fault) if self.fault is not None and self.fault.isdecimal() else None
