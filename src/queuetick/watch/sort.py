"""The column that orders the rows. The arguments need it, so it must not need rich."""

from __future__ import annotations

import enum


class Sort(enum.Enum):
    """The column that orders the rows."""

    SEVERITY = "severity"
    NAME = "name"
    ORG = "org"
    DIVISION = "division"
    WAITING = "waiting"
    LONGEST = "longest"
    TARGET = "target"
    AVAILABLE = "available"
    ON_QUEUE = "on-queue"
    INTERACTING = "interacting"
    ALERTING = "alerting"
    OFFERED = "offered"
    ABANDONED = "abandoned"
    LEVEL = "service-level"
    SEEN = "seen"
