"""Where API and login of a region are."""

from __future__ import annotations

from msgspec import Struct


class Hosts(Struct, frozen=True):
    """Where API and login are, as URLs without a trailing slash."""

    api_url: str
    login_url: str


def hosts(region_url: str, *, api_url: str | None, login_url: str | None) -> Hosts:
    """The hosts in force: the region's own, unless overridden.

    Login is the API host with `api.` become `login.` (SDK api_client.py, get_conf_url), or the same host where the
    name does not begin so, as with a gateway or the simulator.
    """
    api = (api_url or region_url).rstrip("/")
    return Hosts(api, (login_url or api.replace("//api.", "//login.", 1)).rstrip("/"))
