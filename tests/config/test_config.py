"""Defaults, file, `.env`, environment and credentials become one Config, or every problem with its key at once."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import certifi
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queuetick.config import SECTIONS, Config, ConfigError, Credentials, Genesys, Queues
from queuetick.config import load as configuration
from queuetick.config.hosts import is_loopback
from queuetick.config.load import DEFAULT_PATHS, load

REGIONS = {
    "us-east-1": "https://api.mypurecloud.com",
    "eu-west-1": "https://api.mypurecloud.ie",
    "us-west-2": "https://api.usw2.pure.cloud",
}
LOGIN = {"GENESYS_CLIENT_ID": "an-id", "GENESYS_CLIENT_SECRET": "a-secret"}


def read(directory: Path, text: str | bytes | None = None, **environ: str) -> Config:
    if text is not None:
        (directory / "config.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(None, regions=REGIONS, environ={**LOGIN, **environ}, directory=directory)


def problems(directory: Path, text: str | bytes | None = None, **environ: str) -> dict[str, tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        read(directory, text, **environ)
    found = caught.value.problems
    assert str(caught.value) == f"{len(found)} problem(s) in the configuration"
    assert len({problem.key for problem in found}) == len(found), "each key is named once"
    return {problem.key: (problem.problem, problem.fix) for problem in found}


@pytest.mark.parametrize("quotes", ['"{}"', '["{}"]'])
@pytest.mark.parametrize(
    "key", [f"{name}.{key}" for name, kind in SECTIONS.items() for key in kind.__struct_fields__]
)
def test_a_login_in_a_url_is_shown_nowhere_whichever_setting_it_is_written_to(tmp_path, key, quotes) -> None:
    section, name = key.split(".")
    url = quotes.format("http://me:hunter2@proxy.example:8080/a?b#c")
    text = (
        f"[{section}]\n{name} = {url}\n[poll]\ninterval = 0"
        if section != "poll"
        else f"[poll]\n{name} = {url}"
    )
    assert "hunter2" not in str(problems(tmp_path, text))


# The order of the sources


def test_without_a_file_the_defaults_hold_and_no_source_is_named(tmp_path) -> None:
    config = read(tmp_path)
    for section, kind in SECTIONS.items():
        assert kind() == getattr(config, section)
    assert None is config.source


def test_the_defaults_are_the_contracts() -> None:
    genesys, queues, poll = (SECTIONS[name]() for name in ("genesys", "queues", "poll"))
    assert ("us-east-1", "observations", 10) == (genesys.region, genesys.endpoint, genesys.timeout)
    assert (None, None, None, None) == (genesys.api_url, genesys.login_url, genesys.proxy, genesys.ca_bundle)
    assert ((), None, (), (), 600) == tuple(getattr(queues, name) for name in queues.__struct_fields__)
    assert (15, 20, 4, 300) == tuple(getattr(poll, name) for name in poll.__struct_fields__)
    output, log, metrics = (SECTIONS[name]() for name in ("output", "log", "metrics"))
    assert ("-", "plain", "info", None) == (output.path, output.profile, log.level, metrics.listen)


def test_the_first_default_path_that_exists_counts(tmp_path) -> None:
    assert (Path("config.toml"), Path("/etc/queuetick/config.toml")) == DEFAULT_PATHS
    config = read(tmp_path, "[poll]\ninterval = 20\n")
    assert (20, str(tmp_path / "config.toml")) == (config.poll.interval, config.source)


def test_a_later_default_path_counts_where_the_first_is_not_there(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        configuration, "DEFAULT_PATHS", (Path("none.toml"), Path("x/none.toml"), Path("b.toml"))
    )
    (tmp_path / "x").write_text("a file where a directory should be")
    (tmp_path / "b.toml").write_text("[poll]\ninterval = 21\n")
    assert 21 == read(tmp_path).poll.interval


def test_a_path_that_is_given_is_the_only_one_that_is_read(tmp_path) -> None:
    (tmp_path / "config.toml").write_text("[poll]\ninterval = 20\n")
    (tmp_path / "other.toml").write_text("[poll]\nbatch_size = 9\n")
    config = load(Path("other.toml"), regions=REGIONS, environ=LOGIN, directory=tmp_path)
    assert (15, 9) == (config.poll.interval, config.poll.batch_size)


@pytest.mark.parametrize("name", ["missing.toml", "config.toml/x.toml"])
def test_a_path_that_is_given_and_not_there_is_a_problem(name, tmp_path) -> None:
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(ConfigError) as caught:
        load(Path(name), regions=REGIONS, environ=LOGIN, directory=tmp_path)
    [problem] = caught.value.problems
    assert (name, "give --config a readable TOML file") == (problem.key, problem.fix)
    assert problem.problem.startswith("cannot be read: N")


def test_relative_paths_are_looked_up_from_where_the_process_is(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text("[poll]\ninterval = 22\n")
    assert 22 == load(None, regions=REGIONS, environ=LOGIN).poll.interval


def test_file_dotenv_and_environment_each_win_over_the_one_before(tmp_path) -> None:
    text = '[genesys]\nregion = "eu-west-1"\n'
    assert "eu-west-1" == read(tmp_path, text).genesys.region
    (tmp_path / ".env").write_text("GENESYS_CLIENT_ID=a\nGENESYS_CLIENT_SECRET=b\nGENESYS_REGION=us-west-2\n")
    assert "us-west-2" == read(tmp_path, text, **dict.fromkeys(LOGIN, "")).genesys.region
    assert "us-east-1" == read(tmp_path, text, GENESYS_REGION="us-east-1").genesys.region


def test_the_environment_sets_the_hosts_too(tmp_path) -> None:
    config = read(
        tmp_path, GENESYS_API_URL="https://api.example.test", GENESYS_LOGIN_URL=" http://127.0.0.1:1 "
    )
    assert "https://api.example.test" == config.genesys.api_url
    assert "http://127.0.0.1:1" == config.genesys.login_url


def test_the_environment_is_told_by_its_key_where_it_is_wrong(tmp_path) -> None:
    assert ["genesys.region"] == list(problems(tmp_path, GENESYS_REGION="mars-1"))


def test_an_empty_variable_counts_as_not_set(tmp_path) -> None:
    (tmp_path / ".env").write_text(
        "GENESYS_REGION=eu-west-1\nGENESYS_CLIENT_ID=from-dotenv\nGENESYS_CLIENT_SECRET=x\nGENESYS_API_URL\n"
    )
    unset = {
        "GENESYS_REGION": "",
        "GENESYS_CLIENT_ID": "  ",
        "GENESYS_CLIENT_SECRET": "",
        "GENESYS_LOGIN_URL": " ",
    }
    config = read(tmp_path, **unset)
    assert ("eu-west-1", "from-dotenv") == (config.genesys.region, config.credentials.client_id)
    assert (None, None) == (config.genesys.api_url, config.genesys.login_url)


def test_secrets_come_from_dotenv_as_they_stand_there(tmp_path) -> None:
    (tmp_path / ".env").write_text("GENESYS_CLIENT_ID='quoted'\nGENESYS_CLIENT_SECRET=a${HOME}b\n")
    config = load(None, regions=REGIONS, environ={"HOME": "/x"}, directory=tmp_path)
    assert Credentials("quoted", "a${HOME}b") == config.credentials


def test_systemd_credentials_win_over_the_environment(tmp_path) -> None:
    (tmp_path / "genesys_client_id").write_text("id-of-systemd\n")
    (tmp_path / "genesys_client_secret").write_text("  secret-of-systemd \n")
    config = read(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert Credentials("id-of-systemd", "secret-of-systemd") == config.credentials


def test_a_credential_that_is_absent_or_empty_leaves_the_environments(tmp_path) -> None:
    (tmp_path / "genesys_client_id").write_text("\n")
    assert Credentials(*LOGIN.values()) == read(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path)).credentials


@pytest.mark.parametrize("environ", [{}, {"GENESYS_CLIENT_ID": "", "GENESYS_CLIENT_SECRET": ""}])
def test_a_credential_that_cannot_be_read_is_said_once_even_where_the_environment_has_another(
    environ, tmp_path
) -> None:
    (tmp_path / "genesys_client_id").mkdir()
    (tmp_path / "genesys_client_secret").write_bytes(b"\xff\xff")
    found = problems(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path), **environ)
    assert {
        "GENESYS_CLIENT_ID": (
            "the credential genesys_client_id cannot be read: it is a directory, not a regular file",
            "name a regular file",
        ),
        "GENESYS_CLIENT_SECRET": (
            "the credential genesys_client_secret cannot be read: it is not UTF-8 text",
            "save it as UTF-8",
        ),
    } == found


def test_a_missing_secret_names_its_variable_and_its_credential(tmp_path) -> None:
    found = problems(tmp_path, GENESYS_CLIENT_SECRET="")
    fix = (
        "set GENESYS_CLIENT_SECRET in the environment or in .env; for the service write it to its credential file "
        "genesys_client_secret and test it with `queuetick check --unit queuetick`"
    )
    assert {"GENESYS_CLIENT_SECRET": ("is not set", fix)} == found


# Every rule: a table of settings, each with its exact words

URL_FIX = "write https://HOST or https://HOST:PORT/PATH"
LOGIN_FIX = "leave only https://HOST:PORT/PATH"
PROXY_FIX = "write http://HOST:PORT"
LOOPBACK_FIX = "use https; plain http is for loopback only (127.0.0.1, ::1, localhost)"
KNOWN = "known: eu-west-1, us-east-1, us-west-2"
UUID_FIX = "copy the id from `queuetick queues --toml` or from the queue's URL in Genesys Cloud"
Q = "e8963ace-0000-4000-8000-000000000001"

RULES = {
    "unknown region": (
        '[genesys]\nregion = "euw1"',
        "genesys.region",
        "'euw1' is not a Genesys Cloud region",
        f"use the region of your organisation; {KNOWN}",
    ),
    "a domain for a region": (
        '[genesys]\nregion = "mypurecloud.ie"',
        "genesys.region",
        "'mypurecloud.ie' is not a Genesys Cloud region",
        f"use 'eu-west-1', the region of that domain; {KNOWN}",
    ),
    "an API host for a region": (
        '[genesys]\nregion = "api.usw2.pure.cloud"',
        "genesys.region",
        "'api.usw2.pure.cloud' is not a Genesys Cloud region",
        f"use 'us-west-2', the region of that domain; {KNOWN}",
    ),
    "half a domain for a region": (
        '[genesys]\nregion = "api."',
        "genesys.region",
        "'api.' is not a Genesys Cloud region",
        f"use the region of your organisation; {KNOWN}",
    ),
    "a top-level domain for a region": (
        '[genesys]\nregion = "com"',
        "genesys.region",
        "'com' is not a Genesys Cloud region",
        f"use the region of your organisation; {KNOWN}",
    ),
    "an endpoint of neither kind": (
        '[genesys]\nendpoint = "both"',
        "genesys.endpoint",
        "is not one of the allowed values (it is 'both')",
        'genesys.endpoint takes "observations" or, for gateways that offer it, "details"',
    ),
    "no scheme": (
        '[genesys]\napi_url = "api.example.test"',
        "genesys.api_url",
        "'api.example.test' is not an http(s) URL",
        URL_FIX,
    ),
    "no host": (
        '[genesys]\napi_url = "https://"',
        "genesys.api_url",
        "'https://' is not an http(s) URL",
        URL_FIX,
    ),
    "a blank in the host": (
        '[genesys]\napi_url = "https://a b"',
        "genesys.api_url",
        "'https://a b' is not an http(s) URL",
        URL_FIX,
    ),
    "another scheme, with a login": (
        '[genesys]\nlogin_url = "ftp://me:pass@x"',
        "genesys.login_url",
        "it is not an http(s) URL",
        URL_FIX,
    ),
    "half an IPv6 address": (
        '[genesys]\nlogin_url = "https://[::1"',
        "genesys.login_url",
        "is not a URL",
        URL_FIX,
    ),
    "a port beyond ports": (
        '[genesys]\napi_url = "https://x:65536"',
        "genesys.api_url",
        "is not a URL",
        URL_FIX,
    ),
    **{
        f"more than a URL: {url}": (
            f'[genesys]\napi_url = "{url}"',
            "genesys.api_url",
            "carries a login, a query or a fragment",
            LOGIN_FIX,
        )
        for url in ("https://me@x", "https://:pass@x", "https://x/?a=1", "https://x/#a")
    },
    "plain http to another machine": (
        '[genesys]\napi_url = "http://example.test"',
        "genesys.api_url",
        "plain http to example.test would send the credentials unprotected",
        LOOPBACK_FIX,
    ),
    "plain http to what only begins like loopback": (
        '[genesys]\napi_url = "http://127.0.0.1.example.test"',
        "genesys.api_url",
        "plain http to 127.0.0.1.example.test would send the credentials unprotected",
        LOOPBACK_FIX,
    ),
    **{
        f"no proxy: {url}": (
            f'[genesys]\nproxy = "{url}"',
            "genesys.proxy",
            "is not an http(s) URL",
            PROXY_FIX,
        )
        for url in (
            "",
            "http://",
            "ftp://proxy:3128",
            "//x",
        )
    },
    "half an IPv6 address of a proxy": (
        '[genesys]\nproxy = "http://[::1"',
        "genesys.proxy",
        "is not an http(s) URL: its IPv6 address is not written [ADDRESS]:PORT",
        PROXY_FIX,
    ),
    "a port beyond ports of a proxy": (
        '[genesys]\nproxy = "http://me:p@x:99999"',
        "genesys.proxy",
        "is not an http(s) URL: its port is not a number from 1 to 65535",
        PROXY_FIX,
    ),
    "a proxy that would carry plain http away": (
        '[genesys]\nlogin_url = "http://localhost:1"\nproxy = "http://proxy.test:3128"',
        "genesys.proxy",
        "would carry plain http, and with it the credentials, to another machine",
        "use https in api_url and login_url, or no proxy",
    ),
    "a CA bundle that is not there": (
        '[genesys]\nca_bundle = "/nonexistent/ca.pem"',
        "genesys.ca_bundle",
        "'/nonexistent/ca.pem' cannot be read: No such file or directory",
        "name a readable PEM file",
    ),
    "a CA bundle whose name holds a NUL": (
        '[genesys]\nca_bundle = "a\\u0000"',
        "genesys.ca_bundle",
        "'a\\x00' cannot be read: its name has a NUL character",
        "name a readable PEM file",
    ),
    "an id that is no UUID": (
        f'[queues]\nids = ["{Q}", "{Q}0"]',
        "queues.ids[1]",
        f"'{Q}0' is not a UUID",
        UUID_FIX,
    ),
    "an id that is no text": (
        f'[queues]\nids = [7, "{Q}"]',
        "queues.ids[0]",
        "must be text (it is 7)",
        "queues.ids takes a list of queue UUIDs",
    ),
    "a very long id": (
        f'[queues]\nids = ["{"x" * 99}"]',
        "queues.ids[0]",
        f"'{'x' * 60}' is not a UUID",
        UUID_FIX,
    ),
    "nothing to poll": (
        "[queues]\nnames = []",
        "queues",
        "ids and names are both empty: nothing to poll",
        'set names = ["*"], or list ids',
    ),
    "a directory that is not there": (
        '[output]\npath = "/nonexistent/lines.jsonl"',
        "output.path",
        "the directory /nonexistent does not exist",
        "make it, or set another path",
    ),
    "a file for a directory": (
        '[output]\npath = "/etc/passwd/lines.jsonl"',
        "output.path",
        "the directory /etc/passwd does not exist",
        "make it, or set another path",
    ),
    "a directory for a file": (
        '[output]\npath = "/"',
        "output.path",
        "/ is a directory",
        "name a file in it",
    ),
    "a NUL in a path": (
        '[output]\npath = "a\\u0000b"',
        "output.path",
        "has a NUL character, which no path can have",
        "set another path",
    ),
    "a path longer than paths": (
        f'[output]\npath = "{"a" * 300}/b"',
        "output.path",
        "cannot be a path: File name too long",
        "set another path",
    ),
    "an empty path": (
        '[output]\npath = ""',
        "output.path",
        "is empty",
        'output.path takes "-" for stdout, or the path of a file',
    ),
    **{
        f"no place to listen: {listen}": (
            f'[metrics]\nlisten = "{listen}"',
            "metrics.listen",
            f"{listen!r} is not host:port",
            "write it like 127.0.0.1:9477",
        )
        for listen in ("", "localhost", "9477", ":9477", "h:", "h:x", "h:-1", "h:65536", "h:1.0", "h:\u0663")
    },
    "a port of thousands of digits": (
        f'[metrics]\nlisten = "h:{"9" * 5000}"',
        "metrics.listen",
        f"'h:{'9' * 57} is not host:port",
        "write it like 127.0.0.1:9477",
    ),
    **{
        f"no one place to listen: {listen}": (
            f'[metrics]\nlisten = "{listen}"',
            "metrics.listen",
            f"{listen!r} needs brackets around its IPv6 address",
            "write it like [::1]:9477",
        )
        for listen in ("::1:9477", "[::1:9477", "::1]:9477")
    },
    "a level that is none": (
        '[log]\nlevel = "loud"',
        "log.level",
        "is not one of the allowed values (it is 'loud')",
        "log.level takes debug, info, warning, error or critical",
    ),
    "a profile that is none": (
        '[output]\nprofile = "x"',
        "output.profile",
        "is not one of the allowed values (it is 'x')",
        'output.profile takes "plain", "ecs" or "otel": the field names',
    ),
    "text for a number": (
        '[poll]\ninterval = "15"',
        "poll.interval",
        "must be a number, not text (it is '15')",
        "poll.interval takes seconds from cycle to cycle, 0.1 to 3600",
    ),
    "a truth for a number": (
        "[poll]\ninterval = true",
        "poll.interval",
        "must be a number, not true or false (it is true)",
        "poll.interval takes seconds from cycle to cycle, 0.1 to 3600",
    ),
    "a date for a number": (
        "[queues]\nrefresh = 2026-11-27",
        "queues.refresh",
        "must be a number, not a date (it is 2026-11-27)",
        "queues.refresh takes seconds between discoveries, 1 to 86400 (a day)",
    ),
    "text for a list": (
        '[queues]\nids = "x"',
        "queues.ids",
        "must be a list, not text (it is 'x')",
        "queues.ids takes a list of queue UUIDs",
    ),
    "a value for a section": ("poll = 3", "poll", "is a value, not a table", "write it as a section: [poll]"),
    "a list for a section": ("[[log]]", "log", "is a value, not a table", "write it as a section: [log]"),
    "a misspelt key": (
        "[poll]\nintervall = 1",
        "poll.intervall",
        "is not a setting",
        "did you mean poll.interval?",
    ),
    "a misspelt section": ("[genesis]", "genesis", "is not a setting", "did you mean genesys?"),
    "a key like none": (
        "[output]\nxyz = 1",
        "output.xyz",
        "is not a setting",
        "remove it; known here: path, profile, media, snapshots, heartbeat",
    ),
    **{
        f"a secret in the file: {name}": (
            f'[genesys]\n{name} = "do-not-show"',
            f"genesys.{name}",
            "is not a setting",
            "keep secrets out of the file: use GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET",
        )
        for name in ("client_id", "Client_Secret", "access_token", "password")
    },
    "broken TOML": (
        "[poll\n",
        "config.toml",
        "is not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 6)",
        "correct that line",
    ),
    "TOML nested without an end": (
        "a = " + "[" * 5000,
        "config.toml",
        "is not valid TOML: it is nested too deeply",
        "correct that line",
    ),
    "a hexadecimal number of thousands of digits": (
        f"[poll]\nconcurrency = 0x{'f' * 5000}",
        "poll.concurrency",
        "must be at most 64 (it is a number of thousands of digits)",
        "poll.concurrency takes the requests at the same time, 1 to 64",
    ),
    "a file that is not UTF-8": (
        b"\xff\xfe[poll]",
        "config.toml",
        "cannot be read: it is UTF-16, not UTF-8 text",
        "save it as UTF-8",
    ),
}


@pytest.mark.parametrize("case", RULES)
def test_a_rule_that_is_broken_says_its_key_what_is_wrong_and_the_fix(case, tmp_path) -> None:
    text, key, problem, fix = RULES[case]
    assert {key: (problem, fix)} == problems(tmp_path, text)


@pytest.mark.parametrize(
    ("setting", "ends", "beyond"),
    [
        ("genesys.timeout", ["0.001", "120"], ["0", "-1", "120.1", "nan", "inf"]),
        ("queues.refresh", ["1", "86400"], ["0.9", "86401", "inf", "nan"]),
        ("poll.interval", ["0.1", "3600"], ["0.09", "3601", "inf", "nan"]),
        ("poll.batch_size", ["1", "200"], ["0", "201", "1.5"]),
        ("poll.concurrency", ["1", "64"], ["0", "65"]),
        ("poll.requests_per_minute", ["1", "1000000"], ["0", "1000001", "9" * 400]),
    ],
)
def test_a_number_holds_between_its_ends_and_not_beyond(setting, ends, beyond, tmp_path) -> None:
    section, name = setting.split(".")
    for value in ends:
        config = read(tmp_path, f"[{section}]\n{name} = {value}\n")
        assert float(value) == getattr(getattr(config, section), name)
    for value in beyond:
        assert [setting] == list(problems(tmp_path, f"[{section}]\n{name} = {value}\n")), value


def test_a_decimal_number_of_thousands_of_digits_is_no_crash(tmp_path) -> None:
    found = problems(tmp_path, f"[poll]\nconcurrency = {'9' * 5000}")
    assert ["config.toml"] == list(found)
    assert found["config.toml"][0].startswith("is not valid TOML: Exceeds the limit (4300 digits)")


def test_a_directory_that_cannot_be_a_path_is_a_problem_and_no_crash() -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, regions=REGIONS, environ=LOGIN, directory=Path("/" + "x" * 300))
    assert {"cannot be read: File name too long"} == {problem.problem for problem in caught.value.problems}


def test_every_problem_is_named_at_once_list_elements_at_their_own_index(tmp_path) -> None:
    text = f'[genesys]\nregion = "x"\n[poll]\nbatch_size = 0\ny = 1\n[queues]\nids = ["a", 3, "{Q}", "b"]\n[what]\n'
    expected = [
        "GENESYS_CLIENT_ID",
        "genesys.region",
        "poll.batch_size",
        "poll.y",
        "queues.ids[0]",
        "queues.ids[1]",
        "queues.ids[3]",
        "what",
    ]
    assert expected == sorted(problems(tmp_path, text, GENESYS_CLIENT_ID=""))


@pytest.mark.parametrize(
    "value",
    [
        '["http://me:pa55word@x"]',
        '{ url = "http://me:pa55word@x" }',
        '"ftp://me:pa55word@x"',
        "[1, 'me:pa55word@x']",
    ],
)
def test_a_password_in_a_wrong_value_is_not_shown(value, tmp_path) -> None:
    found = problems(tmp_path, f"[genesys]\nproxy = {value}\n")
    assert "pa55word" not in str(found)
    assert found["genesys.proxy"][0].endswith(("not a list", "not a table", "is not an http(s) URL"))


HOLDS = [
    '[genesys]\napi_url = "http://LOCALHOST:8080/gateway"\nlogin_url = "http://[::1]:1"',
    '[genesys]\napi_url = "https://b\u00fccher.example/x"',
    '[genesys]\nproxy = "http://me:pass@proxy.example:3128"',
    '[genesys]\napi_url = "http://127.9.9.9:1"\nproxy = "http://localhost:3128"',
    '[genesys]\napi_url = "https://x"\nproxy = "https://proxy.example"',
    f'[queues]\nids = ["{Q.upper()}"]\nnames = []',
    '[output]\npath = "lines.jsonl"',
    '[metrics]\nlisten = "[::1]:0"',
    '[metrics]\nlisten = "0.0.0.0:65535"',
    "",
]


@pytest.mark.parametrize("text", HOLDS)
def test_what_keeps_the_rules_is_no_problem(text, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(tmp_path, text)


def test_a_ca_bundle_must_hold_a_certificate_that_can_be_read(tmp_path) -> None:
    bundle = tmp_path / "ca.pem"
    text = f'[genesys]\nca_bundle = "{bundle}"\n'
    bundle.write_bytes(b"# \xe9\n" + Path(certifi.where()).read_bytes())
    assert str(bundle) == read(tmp_path, text).genesys.ca_bundle
    bundle.write_text("-----BEGIN PRIVATE KEY-----\n")
    expected = (f"{bundle} has no PEM certificate", "name a PEM file with the CAs to trust")
    assert {"genesys.ca_bundle": expected} == problems(tmp_path, text)
    bundle.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    found, fix = problems(tmp_path, text)["genesys.ca_bundle"]
    assert re.fullmatch(rf"{bundle} has a certificate that cannot be read \(.*PEM.*\)", found)
    assert "copy it again, whole, from BEGIN to END CERTIFICATE" == fix


def test_names_default_to_all_unless_ids_are_given() -> None:
    assert ("*",) == Queues().name_globs
    assert () == Queues(ids=(Q,)).name_globs
    assert ("a*",) == Queues(ids=(Q,), names=("a*",)).name_globs
    assert () == Queues(names=()).name_globs


# Warnings


def warned(directory: Path, text: str) -> list[tuple[str, str, str]]:
    from queuetick.config.rules import check_warnings

    return [(warning.key, warning.problem, warning.fix) for warning in check_warnings(read(directory, text))]


def test_an_interval_under_10_s_and_an_id_given_twice_are_warned_about(tmp_path) -> None:
    interval = (
        "poll.interval",
        "9.5 s is under 10 s: observations hardly change that fast",
        "set 15, unless the server is your own",
    )
    twice = ("queues.ids", "an id is listed twice; it is polled once", "remove one")
    assert [interval] == warned(tmp_path, "[poll]\ninterval = 9.5\n")
    assert [] == warned(tmp_path, f'[poll]\ninterval = 10\n[queues]\nids = ["{Q}"]\n')
    assert [twice] == warned(tmp_path, f'[queues]\nids = ["{Q}", "{Q}"]\n')
    assert [twice] == warned(tmp_path, f'[queues]\nids = ["{Q}", "{Q.upper()}"]\n')


# What a Config says of itself


def test_masked_shows_every_setting_and_no_secret(tmp_path) -> None:
    config = read(tmp_path, '[genesys]\nproxy = "http://me:p%40ss@proxy.example:3128"\n')
    shown = config.masked()
    assert [*SECTIONS, "thresholds", "credentials", "source"] == list(shown)
    for section, kind in SECTIONS.items():
        assert list(kind.__struct_fields__) == list(shown[section])
    assert "http://***@proxy.example:3128" == shown["genesys"]["proxy"]
    assert {"client_id": "***", "client_secret": "***"} == shown["credentials"]
    assert str(tmp_path / "config.toml") == shown["source"]
    text = msgspec.json.encode(shown).decode() + repr(config.credentials)
    for secret in (*LOGIN.values(), "p%40ss", "p@ss", "me:"):
        assert secret not in text + repr(config) + repr(config.genesys) + repr(config.proxy)


def test_a_proxy_without_a_login_is_shown_as_it_is(tmp_path) -> None:
    config = read(tmp_path, '[genesys]\nproxy = "http://proxy.example:3128"\n')
    assert "http://proxy.example:3128" == config.masked()["genesys"]["proxy"]
    assert not any("proxy" in secret for secret in config.secrets())


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://me:p@ss@proxy.example:3128", "http://***@proxy.example:3128"),
        ("http://me:a://b@proxy.example", "http://***@proxy.example"),
        ("https://me@proxy.example", "https://***@proxy.example"),
    ],
)
def test_whatever_stands_before_the_last_at_of_a_proxy_is_masked(proxy, shown) -> None:
    config = Config(
        genesys=Genesys(proxy=proxy),
        credentials=Credentials("a", "b"),
        **{name: kind() for name, kind in SECTIONS.items() if name != "genesys"},
    )
    assert shown == config.masked()["genesys"]["proxy"]


def test_credentials_do_not_show_in_a_repr(tmp_path) -> None:
    assert "Credentials(***)" == repr(Credentials("an-id", "a-secret"))
    assert "a-secret" not in repr(read(tmp_path))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("LocalHost", True), ("localhost.x", False),
     ("10.0.0.1", False), ("", False), (None, False)],
)  # fmt: skip
def test_loopback_is_what_can_only_be_this_machine(host, loopback) -> None:
    assert loopback is is_loopback(host)


def test_a_key_after_an_unknown_one_is_read(tmp_path) -> None:
    assert ["poll.batch_size", "poll.x"] == sorted(problems(tmp_path, "[poll]\nx = 1\nbatch_size = 0\n"))


def test_a_key_without_a_name_is_shown_as_it_stands(tmp_path) -> None:
    assert ['""'] == list(problems(tmp_path, '"" = 1'))


def test_changed_names_the_keys_whose_value_differs_and_secrets_by_name_only(tmp_path) -> None:
    before = read(tmp_path, '[poll]\ninterval = 15\n[output]\nprofile = "plain"\n')
    assert [] == before.changed(read(tmp_path, "[poll]\ninterval = 15.0\n"))
    after = read(
        tmp_path,
        '[poll]\ninterval = 30\nbatch_size = 9\n[output]\nprofile = "ecs"\n',
        GENESYS_CLIENT_ID="b",
        GENESYS_CLIENT_SECRET="c",
    )
    expected = ["poll.interval", "poll.batch_size", "output.profile", "client_id", "client_secret"]
    assert expected == before.changed(after) == after.changed(before)
    assert ["client_secret"] == before.changed(read(tmp_path, "", GENESYS_CLIENT_SECRET="c"))


# Any document at all

_SETTINGS = [(section, name) for section, kind in SECTIONS.items() for name in kind.__struct_fields__]
_SCALARS = (
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(
        ["https://x", "http://a:b@c:1", "[::1]:1", "-", "/", "\0", "*", Q, "us-east-1", "details"]
    )
    | st.dates()
    | st.times()
    | st.datetimes()
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abz_.", max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
_TABLES = st.dictionaries(
    st.sampled_from([name for _, name in _SETTINGS] + ["password"]), _VALUES, max_size=6
)
_DOCUMENTS = st.dictionaries(
    st.sampled_from([*SECTIONS, "genesis", "client_secret", ""]), _TABLES | _VALUES, max_size=5
)


def toml(value: object) -> str:
    """The value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in value)
        return f'"{escaped}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return repr(value)


def told(text: str, directory: Path) -> Config | ConfigError:
    try:
        return read(directory, text)
    except ConfigError as error:
        return error


_OFTEN = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_OFTEN
@given(document=_DOCUMENTS)
def test_any_document_is_a_config_that_can_be_shown_or_problems_with_a_key_and_a_fix(
    document, tmp_path
) -> None:
    text = "\n".join(f"{toml(key)} = {toml(value)}" for key, value in document.items())
    found = told(text, tmp_path)
    if isinstance(found, ConfigError):
        assert all(problem.key and problem.problem and problem.fix for problem in found.problems)
        assert found.problems
    else:
        assert msgspec.json.encode(found.masked())
        assert [] == found.changed(found)
        assert set(document) <= set(SECTIONS)


@_OFTEN
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.binary(max_size=60))
def test_any_bytes_at_all_are_a_config_or_problems(text, tmp_path) -> None:
    told(text, tmp_path)
