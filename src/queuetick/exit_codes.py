"""Exit codes, named as sysexits(3) names them (design, section 5). systemd does not restart 77 and 78."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ended with."""

    OK = 0
    """Stopped as asked."""
    FAILURE = 1
    USAGE = 2
    """The arguments are invalid."""
    TEMPFAIL = 75
    """`once` could not reach the API."""
    NOPERM = 77
    """Credentials or permissions were refused at start."""
    CONFIG = 78
    """The configuration is invalid."""
