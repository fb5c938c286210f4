"""Exit codes (design, section 5). systemd does not restart 77 and 78."""

from enum import IntEnum


class Exit(IntEnum):
    """What the process ended with."""

    OK = 0
    FAULT = 1
    USAGE = 2
    UNREACHABLE = 75
    REFUSED = 77
    CONFIG = 78
