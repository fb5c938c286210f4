"""Points in time as people type them: `--since 15m`, `--from 02:00`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment(text: str, now: float, zone: tzinfo | None) -> float:
    """Seconds since 1970 of `15m` (before `now`), `02:00` (the last one up to `now`) or `2026-11-24T02:00`.

    A date or a time of day without an offset is in `zone`; None is local time. Raises ValueError.
    """
    text = text.strip()
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text):
        return now - float(found[1]) * _UNITS[found[2]]
    if found := re.fullmatch(r"(\d{1,2}):(\d\d)(?::(\d\d))?(Z?)", text):
        today = datetime.fromtimestamp(now, zone)
        at = today.replace(hour=int(found[1]), minute=int(found[2]), second=int(found[3] or 0), microsecond=0)
        return (at if at.timestamp() <= now else at - timedelta(days=1)).timestamp()
    at = datetime.fromisoformat(text)
    return (at.replace(tzinfo=zone) if at.tzinfo is None else at).timestamp()
