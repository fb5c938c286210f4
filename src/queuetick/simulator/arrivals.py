"""What a queue is asked to do: its size, its media, and every contact that will ever arrive.

Nothing here has a memory. A profile follows from the seed and the queue's index; the contacts of a
five-minute stretch follow from the seed, the index and the stretch. So the state of a queue at an
instant is the same for every client, in every order, and however long the clock stood still before.
"""

import math
import random
from dataclasses import dataclass

STRETCH = 300.0
"""Seconds for which demand and staffing stay the same."""

MEDIA = ("voice", "callback", "chat", "email", "message")
"""Media types a queue reports in full. `video` comes beside them, with oInteracting only."""

SHARED = frozenset({"chat", "message"})
"""Media of which one agent holds several at once."""

UTILIZATION = 3
"""Shared contacts one agent holds at most; of every other medium it is one, and nothing beside it."""

# Seconds: mean time with an agent, and mean patience before the contact gives up (a mail does not
# give up, but somebody else answers it).
_HANDLE_SECONDS = {"voice": 260.0, "callback": 220.0, "chat": 420.0, "email": 380.0, "message": 480.0}
_PATIENCE_SECONDS = {"voice": 170.0, "callback": 900.0, "chat": 240.0, "email": 2400.0, "message": 1500.0}

# Seconds within which most contacts are to be answered; for voice the product's own default.
_TARGET_SECONDS = {"voice": 20, "callback": 120, "chat": 30, "email": 3600, "message": 60}

# Share of the peak at each local hour: low at night, two peaks in the day.
_HOURS = (12, 9, 8, 7, 7, 9, 18, 38, 66, 88, 100, 97, 84, 80, 90, 95, 88, 74, 58, 44, 34, 26, 20, 15)
_WEEKEND = 0.4


@dataclass(frozen=True, slots=True)
class Profile:
    """What is fixed about one queue's work."""

    index: int
    utc_offset: float
    """Hours east of UTC: from it follow the local hour and the weekday."""
    peak_per_hour: float
    """Contacts per hour at the busiest time of a working day."""
    media_shares: tuple[float, ...]
    """Cumulative share of each of MEDIA; the last is 1."""
    staffing: float
    """Agents planned for each agent needed: below 1 contacts pile up, above it agents sit idle."""
    always_open: bool
    joined: int
    members: int
    phase: float
    """Seconds by which this queue's stretches are shifted, so that not all turn over at once."""


@dataclass(slots=True, eq=False)
class Desk:
    """An agent who holds contacts of shared media: how many."""

    load: int


@dataclass(slots=True, eq=False, kw_only=True)
class Contact:
    """One contact with every value that was drawn for it before it arrives."""

    media: str
    arrived: float
    gives_up: float
    alert: float
    answered: bool
    """Whether the first agent it is offered to picks up."""
    handle: float
    after: float
    """Seconds the agent spends on a call of their own afterwards; 0 as a rule."""
    desk: Desk | None = None


def draw_profile(seed: int, index: int, utc_offset: float, trouble: float = 0.0) -> Profile:
    """Draw what is fixed about a queue; `trouble` is the share of queues where many of the staff are away."""
    rng = random.Random(f"{seed}/profile/{index}")  # noqa: S311 - chance, not secrecy
    peak = min(300.0, rng.lognormvariate(math.log(64), 0.75))
    weights = [rng.uniform(0.5, 1.0), 0.0, 0.0, 0.0, 0.0]
    # Few queues serve every medium: a queue has each of the others with a probability of one half.
    for position in range(1, len(MEDIA)):
        weights[position] = rng.uniform(0.05, 0.4) if rng.random() < 0.5 else 0.0
    total, running, shares = sum(weights), 0.0, []
    for weight in weights:
        running += weight / total
        shares.append(running)
    shares[-1] = 1.0
    staffing = rng.uniform(0.92, 1.4)
    needed = _agents_needed(peak, shares)
    joined = math.ceil(needed * staffing * 1.15) + rng.randint(0, 2)
    strained = random.Random(f"{seed}/trouble/{index}")  # noqa: S311
    if strained.random() < trouble:
        staffing *= strained.uniform(0.45, 0.75)
    return Profile(
        index=index,
        utc_offset=utc_offset,
        peak_per_hour=peak,
        media_shares=tuple(shares),
        staffing=staffing,
        always_open=rng.random() < 0.6,
        joined=joined,
        members=joined + rng.randint(0, 2 + joined // 3),
        phase=rng.uniform(0.0, 3 * STRETCH),
    )


def offset_for(now: float, local_hour: float) -> float:
    """Hours east of UTC where it is `local_hour` of a working day at an instant (epoch seconds)."""
    offset = (local_hour - now / 3600.0) % 24.0
    days = math.floor((now / 3600.0 + offset) / 24.0)
    # From Saturday to Thursday, from Sunday to Friday.
    return offset - 48.0 if _weekday(days) >= 5 else offset


def _weekday(days: int) -> int:
    """Of a day since 1970-01-01, which was a Thursday; Monday is 0."""
    return (days + 3) % 7


def draw_targets(seed: int, index: int) -> dict[str, dict[str, float]]:
    """The service level of each medium of one queue: `percentage` (0 to 1) and `durationMs`.

    Incomplete as in a real organization: a queue lacks all, a medium its service level, or a part of it.
    """
    rng = random.Random(f"{seed}/targets/{index}")  # noqa: S311
    if rng.random() < 0.04:
        return {}
    targets: dict[str, dict[str, float]] = {}
    for media in MEDIA:
        whole = {
            "percentage": rng.choice((0.8, 0.8, 0.8, 0.7, 0.9, 0.95)),
            "durationMs": int(1000 * _TARGET_SECONDS[media] * rng.choice((0.5, 1, 1, 1, 1.5, 3))),
        }
        roll = rng.random()
        if roll < 0.03:
            targets[media] = {}
        elif roll < 0.05:
            targets[media] = {"percentage": whole["percentage"]}
        elif roll < 0.07:
            targets[media] = {"durationMs": whole["durationMs"]}
        elif roll < 0.97:
            targets[media] = whole
    return targets


def contacts_per_hour(profile: Profile, at: float) -> float:
    """Expected arrivals per hour at an instant (epoch seconds), from the local hour and weekday."""
    hours = at / 3600.0 + profile.utc_offset
    whole = math.floor(hours)
    here, after = _HOURS[whole % 24], _HOURS[(whole + 1) % 24]
    share = (here + (after - here) * (hours - whole)) / 100.0
    if not profile.always_open and share < 0.19:
        return 0.0
    return profile.peak_per_hour * share * (_WEEKEND if _weekday(whole // 24) >= 5 else 1.0)


def _agents_needed(per_hour: float, shares: "list[float] | tuple[float, ...]") -> float:
    """Offered load in agents: contacts per second times seconds each takes of an agent."""
    load, before = 0.0, 0.0
    for media, share in zip(MEDIA, shares, strict=True):
        per_agent = UTILIZATION * 0.7 if media in SHARED else 1.0
        load += (share - before) * _HANDLE_SECONDS[media] / per_agent
        before = share
    return per_hour / 3600.0 * load


def draw_stretch(seed: int, profile: Profile, number: int) -> tuple[int, list[Contact]]:
    """Agents on the rota, and contacts in order of arrival, of the `number`th stretch."""
    start = profile.phase + number * STRETCH
    rng = random.Random(f"{seed}/{profile.index}/{number}")  # noqa: S311
    per_hour = contacts_per_hour(profile, start)
    if per_hour <= 0.0:
        return 0, []
    wanted = _agents_needed(per_hour, profile.media_shares) * profile.staffing * rng.uniform(0.85, 1.15)
    rota = min(profile.joined, math.ceil(wanted))
    # A burst now and then, as after a newsletter or an outage.
    rate = per_hour / 3600.0 * (2.2 if rng.random() < 0.06 else 1.0)
    contacts = []
    at = start + rng.expovariate(rate)
    shares = profile.media_shares
    while at < start + STRETCH:
        roll, position = rng.random(), 0
        while roll > shares[position]:
            position += 1
        media = MEDIA[position]
        contacts.append(
            Contact(
                media=media,
                arrived=at,
                gives_up=at + 5.0 + rng.expovariate(1.0 / _PATIENCE_SECONDS[media]),
                alert=1.5 + 10.0 * rng.random(),
                answered=rng.random() > 0.04,
                handle=15.0 + rng.expovariate(1.0 / (_HANDLE_SECONDS[media] - 15.0)),
                after=30.0 + 120.0 * rng.random() if rng.random() < 0.05 else 0.0,
            )
        )
        at += rng.expovariate(rate)
    return rota, contacts
