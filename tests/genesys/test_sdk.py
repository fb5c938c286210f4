"""The SDK is the real one, loaded lean, without what it does on import; both ways of loading give the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import json, os, sys, threading
sys.path.insert(0, sys.argv[2])
from queuetick.genesys import sdk
loaded = sdk.load(lean=sys.argv[1] == "lean")
client = loaded.ApiClient("https://api.example.test")
from PureCloudPlatformClientV2.configuration import Configuration
options = loaded.HttpRequestOptions(url="https://x.test", method="POST", headers={"a": "b"}, body="{}")
import PureCloudPlatformClientV2 as package
links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
watches = [link for link in links if os.path.islink(link) and "inotify" in os.readlink(link)]
print(json.dumps({
    "fallback": loaded.fallback, "regions": loaded.region_hosts, "host": client.host,
    "configured": Configuration().host, "gateway": Configuration().gateway_configuration is not None,
    "login": client.get_conf_url("login", client.host),
    "options": [options.url, options.method, options.headers, options.body],
    "abstract": sorted(loaded.AbstractHttpClient.__abstractmethods__),
    "query": sorted(package.models.QueueObservationQuery().swagger_types),
    "api": package.AnalyticsApi.__name__,
    "models": sum(name.startswith("PureCloudPlatformClientV2.models.") for name in sys.modules),
    "threads": threading.active_count(), "inotify": len(watches),
    "log": type(getattr(Configuration(), "logger", None)).__module__,
}))
"""


def probe(way: str, home: Path, path: str = "") -> dict:
    folder = home / ".genesyscloudpython"
    folder.mkdir(exist_ok=True)
    (folder / "config").write_text("[general]\nhost = https://evil.invalid\n[gateway]\nhost = evil.invalid\n")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, way, path or str(home)],
        env={
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "COVERAGE_PROCESS_CONFIG": os.environ.get("COVERAGE_PROCESS_CONFIG", ""),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_both_ways_of_loading_give_the_same_and_neither_hears_the_home_directory(tmp_path) -> None:
    lean, plain = probe("lean", tmp_path), probe("plain", tmp_path)
    assert (None, "asked for") == (lean["fallback"], plain["fallback"])
    assert lean["models"] < 500
    assert plain["models"] > 6000
    assert 1 == lean["threads"]
    assert 0 == lean["inotify"] == plain["inotify"]
    for found in (lean, plain):
        assert ("https://api.mypurecloud.com", False) == (found["configured"], found["gateway"])
        assert "queuetick.genesys.sdk" == found["log"], (
            "the SDK's log spells out every request, written or not"
        )
    same = ("regions", "host", "login", "options", "abstract", "query", "api")
    assert {name: plain[name] for name in same} == {name: lean[name] for name in same}
    assert 18 == len(lean["regions"])
    assert "https://api.mypurecloud.ie" == lean["regions"]["eu-west-1"]


def test_a_future_sdk_that_cannot_be_loaded_lean_is_imported_plainly_and_says_so(tmp_path) -> None:
    """A stand-in SDK whose Configuration is no closure any more, so that the lean load must give up."""
    package = tmp_path / "PureCloudPlatformClientV2"
    for folder in (package, package / "models", package / "apis"):
        folder.mkdir()
        (folder / "__init__.py").write_text("")
    (package / "__init__.py").write_text(
        "from .purecloud_region_hosts import PureCloudRegionHosts\nfrom .apis.analytics_api import AnalyticsApi\n"
    )
    (package / "apis" / "analytics_api.py").write_text("class AnalyticsApi: ...\n")
    (package / "models" / "__init__.py").write_text("class QueueObservationQuery:\n    swagger_types = {}\n")
    (package / "configuration.py").write_text(
        "class Configuration:\n    host = 'https://api.mypurecloud.com'\n    gateway_configuration = None\n"
    )
    (package / "purecloud_region_hosts.py").write_text(
        "from enum import Enum\nclass PureCloudRegionHosts(Enum):\n    us_east_1 = 'https://api.mypurecloud.com'\n"
        "    def get_api_host(self): return self.value\n"
    )
    (package / "api_client.py").write_text(
        "from . import models\nclass ApiClient:\n    def __init__(self, host): self.host = host\n"
        "    def get_conf_url(self, kind, host): return host\n"
    )
    (package / "abstract_http_client.py").write_text(
        "import abc\nclass AbstractHttpClient(abc.ABC):\n    @abc.abstractmethod\n    def request(self, o): ...\n"
    )
    (package / "http_request_options.py").write_text(
        "class HttpRequestOptions:\n    def __init__(self, **options): self.__dict__.update(options)\n"
    )
    found = probe("lean", tmp_path, path=str(tmp_path))
    assert "Configuration" in found["fallback"] or "cls" in found["fallback"]
    assert {"us-east-1": "https://api.mypurecloud.com"} == found["regions"]


@pytest.mark.parametrize("name", ["queuetick", "queuetick.cli", "queuetick.config", "queuetick.events"])
def test_what_help_and_config_need_does_not_load_the_sdk(name) -> None:
    code = f"import sys, {name}; sys.exit(any(m.startswith('PureCloud') for m in sys.modules))"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode
