"""Variables of other tools that mean what one of ours does, hinted at where ours is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from queuetick.config.settings import Genesys
from queuetick.events import ConfigWarning, Problem

_PREFIX = r"(GENESYS_?CLOUD|PURE_?CLOUD|GENESYS|GC)_"
_OTHERS = {
    "client_id": re.compile(rf"{_PREFIX}(OAUTH_?)?CLIENT_?ID", re.IGNORECASE),
    "client_secret": re.compile(rf"{_PREFIX}(OAUTH_?)?(CLIENT_?)?SECRET", re.IGNORECASE),
    "region": re.compile(rf"{_PREFIX}(REGION|ENVIRONMENT|ENV|HOST|API_?HOST|BASE_?PATH)", re.IGNORECASE),
}


def _other(name: str, ours: str, everything: Mapping[str, str]) -> str | None:
    return next((key for key in sorted(everything) if key != ours and _OTHERS[name].fullmatch(key)), None)


def secret_hint(name: str, variable: str, everything: Mapping[str, str]) -> Problem:
    """The problem of a secret that is not set. `everything` is all variables that are set."""
    if other := _other(name, variable, everything):
        fix = f"set {variable} to the value of {other}"
        return Problem(variable, f"is not set; {other} is, which queuetick does not read", fix)
    return Problem(
        variable,
        "is not set",
        f"set {variable} in the environment or in .env; for the service write it to its credential file "
        f"genesys_{name} and test it with `queuetick check --unit queuetick`",
    )


def region_hint(
    everything: Mapping[str, str], origins: Mapping[str, str], genesys: Genesys
) -> Iterator[ConfigWarning]:
    """A warning where no source sets a region or a host, and a variable of another tool may mean one."""
    if "genesys.region" in origins or genesys.api_url is not None:
        return
    if other := _other("region", "GENESYS_REGION", everything):
        yield ConfigWarning(
            key="genesys.region",
            problem=f"is not set, so {genesys.region} is asked; {other} is set, which queuetick does not read",
            fix="set GENESYS_REGION or genesys.region",
        )
