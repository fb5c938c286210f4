"""One rule for the proxies of every source: valid and usable, or a problem with its fix that shows no password."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuetick.config import Config, ConfigError
from queuetick.config.load import load
from queuetick.config.proxies import (
    Proxy,
    bypasses,
    no_proxy_patterns,
    parse_proxy,
    proxy_secrets,
    without_login,
)
from queuetick.events import Problem

REGIONS = {"us-east-1": "https://api.mypurecloud.com"}
LOGIN = {"GENESYS_CLIENT_ID": "an-id", "GENESYS_CLIENT_SECRET": "a-secret"}
API = "https://api.mypurecloud.com/x"


def with_proxy(source: str, url: str, directory: Path) -> Config:
    environ = dict(LOGIN)
    if source == "genesys.proxy":
        (directory / "config.toml").write_text(f"[genesys]\nproxy = {quoted(url)}\n", encoding="utf-8")
    elif source.startswith(".env "):
        lines = [f"{name}={value}" for name, value in LOGIN.items()] + [f"{source[5:]}={quoted(url)}"]
        (directory / ".env").write_text("\n".join(lines), encoding="utf-8")
        environ = {}
    else:
        environ[source] = url
    return load(None, regions=REGIONS, environ=environ, directory=directory)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


SOURCES = ["genesys.proxy", "HTTPS_PROXY", "https_proxy", ".env HTTPS_PROXY", ".env https_proxy"]

INVALID = {
    "http://h:abc": ("is not an http(s) URL: its port is not a number from 1 to 65535", "write http://HOST:PORT"),
    "http://h:99999": ("is not an http(s) URL: its port is not a number from 1 to 65535", "write http://HOST:PORT"),
    "http://h:0": ("is not an http(s) URL: its port is not a number from 1 to 65535", "write http://HOST:PORT"),
    "http://h:": ("is not an http(s) URL: its port is not a number from 1 to 65535", "write http://HOST:PORT"),
    "http://h:\u0663": ("is not an http(s) URL: its port is not a number from 1 to 65535", "write http://HOST:PORT"),
    "http://[::1": ("is not an http(s) URL: its IPv6 address is not written [ADDRESS]:PORT", "write http://HOST:PORT"),
    "http://[::1]x": ("is not an http(s) URL: its IPv6 address is not written [ADDRESS]:PORT", "write http://HOST:PORT"),
    "http://[h]:1": ("is not an http(s) URL: its IPv6 address is not written [ADDRESS]:PORT", "write http://HOST:PORT"),
    "http://[::g]:1": ("is not an http(s) URL: its host is neither a name nor an address", "write http://HOST:PORT"),
    "http://::1:3128": ("is not an http(s) URL: its IPv6 address needs brackets", "write http://HOST:PORT"),
    "http://a b:1": ("is not an http(s) URL: its host is neither a name nor an address", "write http://HOST:PORT"),
    "http://999.1.1.1:1": ("is not an http(s) URL: its host is neither a name nor an address", "write http://HOST:PORT"),
    "http://-a:1": ("is not an http(s) URL: its host is neither a name nor an address", "write http://HOST:PORT"),
    "http://": ("is not an http(s) URL", "write http://HOST:PORT"),
    "http://h:1/x": ("carries a path, a query or a fragment", "leave only http://HOST:PORT"),
    "http://h?x": ("carries a path, a query or a fragment", "leave only http://HOST:PORT"),
    "ftp://h:1": ("is not an http(s) URL", "write http://HOST:PORT"),
    "socks5://h:1080": ("is a SOCKS proxy, which queuetick cannot use", "set an HTTP proxy: http://HOST:PORT"),
    "SOCKS5h://h": ("is a SOCKS proxy, which queuetick cannot use", "set an HTTP proxy: http://HOST:PORT"),
    "socks4://me:pa55word@h:1": ("is a SOCKS proxy, which queuetick cannot use", "set an HTTP proxy: http://HOST:PORT"),
}  # fmt: skip
ENCODE = "percent-encode it: %2F for /, %23 for #, %3F for ?, %40 for @, %C3%A9 for \u00e9"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("url", INVALID)
def test_a_proxy_that_is_none_is_a_problem_from_every_source(url, source, tmp_path) -> None:
    with pytest.raises(ConfigError) as caught:
        with_proxy(source, url, tmp_path)
    [problem] = caught.value.problems
    assert Problem(source.removeprefix(".env "), *INVALID[url]) == problem


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "password", ["pa/55word", "pa#55word", "pa?55word", "pa@55word", "pa\u20ac55word", "pa 55word"]
)
def test_a_password_that_a_url_cannot_hold_is_to_be_encoded_and_is_not_shown(
    password, source, tmp_path
) -> None:
    with pytest.raises(ConfigError) as caught:
        with_proxy(source, f"http://me:{password}@h:1", tmp_path)
    [problem] = caught.value.problems
    assert ENCODE == problem.fix
    assert "55word" not in str(problem)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "password", ["pa/55word", "pa#?@55word", "pa\u20ac55word", "p\u00e4 55word", "50%25:x"]
)
def test_an_encoded_password_is_sent_as_it_was_meant(password, source, tmp_path) -> None:
    config = with_proxy(source, f"http://me:{quote(password, safe='')}@h:1", tmp_path)
    proxy = config.proxy_for(API)
    assert proxy is not None
    assert proxy.authorization is not None
    assert f"me:{password}".encode() == base64.b64decode(proxy.authorization.removeprefix("Basic "))
    assert {password, quote(password, safe=""), f"me:{password}"} <= set(config.secrets())
    shown = f"{config!r}{proxy!r}{config.genesys!r}{config.masked()}"
    assert not any(secret in shown for secret in config.proxy_secrets)


@pytest.mark.parametrize(
    ("text", "url", "host", "port"),
    [
        ("http://[::1]:3128", "http://[::1]:3128", "::1", 3128),
        ("http://[2001:DB8::0:1]", "http://[2001:db8::1]:80", "2001:db8::1", 80),
        ("https://proxy.example/", "https://proxy.example:443", "proxy.example", 443),
        ("proxy.example:3128", "http://proxy.example:3128", "proxy.example", 3128),
        ("HTTP://Proxy.Example:1", "http://proxy.example:1", "proxy.example", 1),
        ("http://b\u00fccher.example:1", "http://xn--bcher-kva.example:1", "xn--bcher-kva.example", 1),
        ("http://me@10.0.0.1:1", "http://10.0.0.1:1", "10.0.0.1", 1),
        ("http://my_proxy:1", "http://my_proxy:1", "my_proxy", 1),
    ],
)
def test_a_proxy_is_an_address_in_ascii(text, url, host, port) -> None:
    proxy = parse_proxy("x", text, https_only=True)
    assert isinstance(proxy, Proxy)
    assert (url, host, port) == (proxy.url, proxy.host, proxy.port)


def test_the_file_wins_over_the_environment_and_serves_plain_http_too(tmp_path) -> None:
    (tmp_path / "config.toml").write_text('[genesys]\nproxy = "http://127.0.0.1:1"\n')
    environ = {**LOGIN, "HTTPS_PROXY": "socks5://me:pa55word@h"}
    config = load(None, regions=REGIONS, environ=environ, directory=tmp_path)
    for url in (API, "http://127.0.0.1:2"):
        proxy = config.proxy_for(url)
        assert proxy is not None
        assert "http://127.0.0.1:1" == proxy.url
    assert "pa55word" in config.secrets(), "a proxy that is not in force has a secret too"


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_no_proxy(value, tmp_path) -> None:
    assert with_proxy("HTTPS_PROXY", value, tmp_path).proxy_for(API) is None


@given(
    text=st.text(max_size=40)
    | st.lists(
        st.sampled_from(["http", "socks5", "://", ":", "@", "/", "[", "]", "::1", "h", "1", "%", "\udc80"]),
        max_size=12,
    ).map("".join)
)
def test_any_text_is_a_proxy_that_can_be_used_or_a_problem(text) -> None:
    found = parse_proxy("key", text, https_only=False)
    assert proxy_secrets(text) is not None
    if isinstance(found, Proxy):
        assert found.host.isascii()
        assert 0 < found.port < 65536
    else:
        assert found.problem and found.fix


@given(
    password=st.text(min_size=6).filter(lambda text: text.strip()),
    host=st.sampled_from(["h:1", "h:x", "[::1", ""]),
)
def test_no_password_shows_whatever_is_wrong_with_its_proxy(password, host) -> None:
    for url in (f"http://me:{password}@{host}", f"socks5://me:{password}@{host}", f"me:{password}@{host}"):
        found = parse_proxy("key", url, https_only=False)
        assert password not in f"{found!r}" or password in ENCODE
        assert f"me:{password}@" not in without_login(url)


# NO_PROXY


@pytest.mark.parametrize(
    ("patterns", "url"),
    [
        ("*", API),
        ("*.corp.example", "https://api.corp.example"),
        ("*.corp.example", "https://a.b.corp.example"),
        (".corp.example", "https://api.corp.example"),
        ("corp.example", "https://api.corp.example"),
        ("CORP.example.", "https://api.corp.Example"),
        ("other, corp.example", "https://corp.example:8443/x"),
        ("other corp.example", "https://corp.example"),
        ("corp.example:8443", "https://corp.example:8443"),
        ("corp.example:443", "https://corp.example"),
        (".corp.example:443", "https://api.corp.example"),
        ("10.0.0.0/8", "https://10.1.2.3"),
        ("10.1.2.3", "https://10.1.2.3:8443"),
        ("10.1.2.3:8443", "https://10.1.2.3:8443"),
        ("10.*", "https://10.1.2.3"),
        ("::1", "https://[::1]:1"),
        ("[::1]", "https://[::1]:1"),
        ("[::1]:1", "https://[::1]:1"),
        ("2001:db8::/32", "https://[2001:db8::7]"),
        ("b\u00fccher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_no_proxy_covers(patterns, url) -> None:
    assert bypasses(no_proxy_patterns(patterns), url)


@pytest.mark.parametrize(
    ("patterns", "url"),
    [
        ("", API),
        ("corp.example", "https://notcorp.example"),
        ("*.corp.example", "https://corp.example.evil"),
        ("corp.example:8443", "https://corp.example"),
        ("10.0.0.0/8", "https://11.0.0.1"),
        ("10.0.0.0/8", "https://ten.example"),
        ("10.0.0.1", "https://110.0.0.1"),
        ("::1", "https://[::2]"),
        (",, ,", API),
        ("..", API),
    ],
)
def test_no_proxy_does_not_cover(patterns, url) -> None:
    assert not bypasses(no_proxy_patterns(patterns), url)


@pytest.mark.parametrize("source", ["NO_PROXY", "no_proxy"])
def test_no_proxy_holds_for_the_proxy_of_the_file_too(source, tmp_path) -> None:
    (tmp_path / "config.toml").write_text('[genesys]\nproxy = "http://127.0.0.1:1"\n')
    config = load(None, regions=REGIONS, environ={**LOGIN, source: "*.mypurecloud.com"}, directory=tmp_path)
    assert config.proxy_for(API) is None


@given(patterns=st.text(max_size=40), url=st.sampled_from([API, "https://[::1]:1", "https://10.0.0.1"]))
def test_any_no_proxy_is_answered(patterns, url) -> None:
    assert bypasses(no_proxy_patterns(patterns), url) in (True, False)
