"""The paths that the simulator answers, their names in faults, and the permission that each needs."""

LOGIN_PATH = "/oauth/token"
OBSERVATIONS_PATH = "/api/v2/analytics/queues/observations/query"
DETAILS_PATH = "/api/v2/analytics/queues/details/query"
STATS_PATH = "/api/v2/analytics/conversations/aggregates/query"
QUEUES_PATH = "/api/v2/routing/queues"
LIMITS_PATH = "/api/v2/organizations/limits/namespaces/platform.api"

OBSERVATION_PERMISSION = "analytics:queueObservation:view"
STATS_PERMISSION = "analytics:conversationAggregate:view"
QUEUE_PERMISSION = "routing:queue:view"
QUEUE_SEARCH_PERMISSION = "routing:queue:search"
LIMITS_PERMISSION = "limits:organization:view"

PERMISSIONS = {
    "observations": OBSERVATION_PERMISSION,
    "details": OBSERVATION_PERMISSION,
    "stats": STATS_PERMISSION,
    "listing": QUEUE_PERMISSION,
    "queue": QUEUE_PERMISSION,
    "divisionviews": QUEUE_SEARCH_PERMISSION,
    "limits": LIMITS_PERMISSION,
}
"""By route. `queue` is one queue by its id, `divisionviews` both of the simplified listings."""

ROUTES = (*PERMISSIONS, "login")

_BY_PATH = {
    LOGIN_PATH: "login",
    OBSERVATIONS_PATH: "observations",
    DETAILS_PATH: "details",
    STATS_PATH: "stats",
    QUEUES_PATH: "listing",
    f"{QUEUES_PATH}/divisionviews": "divisionviews",
    f"{QUEUES_PATH}/divisionviews/all": "divisionviews",
    LIMITS_PATH: "limits",
}


def route_of(path: str) -> str | None:
    """The route of a path; None for a path that the simulator does not answer."""
    route = _BY_PATH.get(path)
    if route is None and path.startswith(f"{QUEUES_PATH}/") and "/" not in path[len(QUEUES_PATH) + 1 :]:
        return "queue"
    return route
