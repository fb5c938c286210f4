"""Secrets as they are pasted, names of hosts, and the keys of contract 1.2: each problem with its key and its fix."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import certifi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queuetick.config import Config, ConfigError
from queuetick.config.load import load
from queuetick.config.rules import check_secret, check_warnings
from queuetick.events.thresholds import Threshold

REGIONS = {
    "us-east-1": "https://api.mypurecloud.com",
    "eu-west-1": "https://api.mypurecloud.ie",
    "eu-west-2": "https://api.euw2.pure.cloud",
}
LOGIN = {"GENESYS_CLIENT_ID": "an-id", "GENESYS_CLIENT_SECRET": "a-secret"}
OFTEN = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(directory: Path, text: str = "", **environ: str) -> Config:
    (directory / "config.toml").write_text(text, encoding="utf-8")
    return load(None, regions=REGIONS, environ={**LOGIN, **environ}, directory=directory)


def problems(directory: Path, text: str = "", **environ: str) -> dict[str, tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        read(directory, text, **environ)
    return {problem.key: (problem.problem, problem.fix) for problem in caught.value.problems}


# Secrets


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ('"{}"', "has quotes around it"),
        ("'{}'", "has quotes around it"),
        ("\u201c{}\u201d", "has quotes around it"),
        ("{}\u2019", "has quotes around it"),
        ("\u200b{}", "has an invisible character in it (U+200B ZERO WIDTH SPACE)"),
        ("{}\u2060", "has an invisible character in it (U+2060 WORD JOINER)"),
        ("\ufeff{}", "has an invisible character in it (U+FEFF ZERO WIDTH NO-BREAK SPACE)"),
        ("\u202a{}\u202c", "has an invisible character in it (U+202A LEFT-TO-RIGHT EMBEDDING)"),
        ("a {}", "has white space or a line break in it"),
        ("{}\n{}", "has white space or a line break in it"),
        ("{}\u00a0x", "has white space or a line break in it"),
        ("{}\u00e9", "has a character in it that is not ASCII, or a control character"),
        ("\u0441{}", "has a character in it that is not ASCII, or a control character"),
        ("{}\x07", "has a character in it that is not ASCII, or a control character"),
        ("{}\udcff", "is not UTF-8 text"),
    ],
)
@pytest.mark.parametrize("variable", list(LOGIN))
def test_what_was_pasted_around_a_secret_is_named_and_the_secret_is_not_shown(
    variable, pasted, said, tmp_path
) -> None:
    found = problems(tmp_path, **{variable: pasted.format("s3cr3t-value", "s3cr3t-value")})
    assert {variable: (said, "copy the bare value again from Genesys Cloud, and nothing around it")} == found


def test_a_secret_with_its_own_name_before_it_is_named(tmp_path) -> None:
    found = problems(tmp_path, GENESYS_CLIENT_SECRET="GENESYS_CLIENT_SECRET=s3cr3t")
    assert "begins with its own name" == found["GENESYS_CLIENT_SECRET"][0]


@pytest.mark.parametrize("pasted", [" {} ", "{}\n", "\t{}\u00a0"])
def test_white_space_around_a_secret_is_no_part_of_it(pasted, tmp_path) -> None:
    assert (
        "a-secret"
        == read(tmp_path, GENESYS_CLIENT_SECRET=pasted.format("a-secret")).credentials.client_secret
    )


@given(secret=st.text(min_size=1).filter(lambda text: text.strip() == text))
def test_a_secret_is_printable_ascii_or_a_problem_that_does_not_show_it(secret) -> None:
    found = list(check_secret("GENESYS_CLIENT_ID", secret))
    assert found or all("!" <= c <= "~" for c in secret)
    assert len(secret) < 6 or secret not in str(found)


def test_a_secret_in_the_wrong_variable_is_not_shown(tmp_path) -> None:
    found = problems(tmp_path, GENESYS_REGION="s3cr3t-value", GENESYS_CLIENT_SECRET="s3cr3t-value")
    assert "'***' is not a Genesys Cloud region" == found["genesys.region"][0]


def test_secrets_are_what_the_mask_must_know(tmp_path) -> None:
    config = read(tmp_path, GENESYS_CLIENT_ID="id/1", GENESYS_CLIENT_SECRET="s+cret")
    assert {"id/1", "s+cret", "id/1:s+cret", "aWQvMTpzK2NyZXQ=", "id%2F1", "s%2Bcret"} <= set(
        config.secrets()
    )


# Variables of other tools


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("GENESYS_CLIENT_ID", "GENESYSCLOUD_OAUTHCLIENT_ID"),
        ("GENESYS_CLIENT_ID", "GENESYS_CLOUD_CLIENT_ID"),
        ("GENESYS_CLIENT_ID", "PURECLOUD_CLIENT_ID"),
        ("GENESYS_CLIENT_SECRET", "GENESYSCLOUD_OAUTHCLIENT_SECRET"),
        ("GENESYS_CLIENT_SECRET", "GENESYS_CLOUD_OAUTHCLIENT_SECRET"),
        ("GENESYS_CLIENT_SECRET", "PURECLOUD_SECRET"),
    ],
)
def test_the_variables_of_other_tools_are_hinted_at_where_ours_are_missing(ours, theirs, tmp_path) -> None:
    found = problems(tmp_path, **{ours: "", theirs: "s3cr3t"})
    expected = (
        f"is not set; {theirs} is, which queuetick does not read",
        f"set {ours} to the value of {theirs}",
    )
    assert {ours: expected} == found


@pytest.mark.parametrize("theirs", ["GENESYSCLOUD_REGION", "GENESYS_CLOUD_REGION", "PURECLOUD_ENVIRONMENT"])
def test_a_region_for_other_tools_is_warned_about_where_ours_is_the_default(theirs, tmp_path) -> None:
    [warning] = check_warnings(read(tmp_path, **{theirs: "eu-west-1"}))
    problem = f"is not set, so us-east-1 is asked; {theirs} is set, which queuetick does not read"
    assert ("genesys.region", problem) == (warning.key, warning.problem)
    for ours in ({"GENESYS_REGION": "us-east-1"}, {"GENESYS_API_URL": "https://x.test"}):
        assert [] == check_warnings(read(tmp_path, **ours, **{theirs: "eu-west-1"}))


# Hosts


@pytest.mark.parametrize("region", ["EU-WEST-1", " eu-west-1", "Eu-West-1"])
def test_a_region_is_taken_in_any_case(region, tmp_path) -> None:
    assert "eu-west-1" == read(tmp_path, GENESYS_REGION=region).genesys.region
    assert "eu-west-1" == read(tmp_path, f'[genesys]\nregion = "{region}"').genesys.region


@pytest.mark.parametrize(
    ("region", "fix"),
    [
        ("mypurecloud.ie", "use 'eu-west-1', the region of that domain"),
        ("https://apps.mypurecloud.ie/directory/", "use 'eu-west-1', the region of that domain"),
        ("login.euw2.pure.cloud", "use 'eu-west-2', the region of that domain"),
        ("API.MYPURECLOUD.IE", "use 'eu-west-1', the region of that domain"),
        ("eu_west_1", "use 'eu-west-1'"),
        ("notmypurecloud.ie", "use the region of your organisation"),
        ("http://[", "use the region of your organisation"),
    ],
)
def test_what_is_like_a_region_is_told_the_region(region, fix, tmp_path) -> None:
    found = problems(tmp_path, GENESYS_REGION=region)
    assert f"{fix}; known: eu-west-1, eu-west-2, us-east-1" == found["genesys.region"][1]


@pytest.mark.parametrize("key", ["api_url", "login_url"])
@pytest.mark.parametrize(
    ("url", "ascii_url"),
    [
        ("https://b\u00fccher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://B\u00dcCHER.example:8443", "https://xn--bcher-kva.example:8443"),
        ("HTTPS://API.Example.TEST/Path", "https://api.example.test/Path"),
        ("http://\uff11\uff12\uff17.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_a_host_beyond_ascii_is_asked_by_its_ascii_name(key, url, ascii_url, tmp_path) -> None:
    assert ascii_url == getattr(read(tmp_path, f'[genesys]\n{key} = "{url}"').genesys, key)


@pytest.mark.parametrize(
    "url",
    ["https://\u2603\u2603..x", "https://x\u00ad-.example/", "https://x:0", "https://a\\nb", "https://x/\u00fc",
     "https://x/a b", "https://x?", "https://@x", "https://-x", "https://1.2.3", "https://" + "x" * 64,
     "https://[::1%25eth0", "https://\u202ex"],
)  # fmt: skip
def test_a_url_that_could_not_be_asked_is_a_problem(url, tmp_path) -> None:
    assert ["genesys.api_url"] == list(problems(tmp_path, f'[genesys]\napi_url = "{url}"'))


# genesys.org


@pytest.mark.parametrize("org", ["emea", "EMEA 2", "\u65e5\u672c", "x" * 64])
def test_an_org_is_a_printable_name(org, tmp_path) -> None:
    assert org == read(tmp_path, QUEUETICK_ORG=org).genesys.org
    assert org == read(tmp_path, f'[genesys]\norg = "{org}"').genesys.org


@pytest.mark.parametrize("org", ["", " ", " emea", "a\\nb", "a\\u0000", "\\u202ea", "x" * 65])
def test_an_org_that_is_no_name_is_a_problem(org, tmp_path) -> None:
    assert ["genesys.org"] == list(problems(tmp_path, f'[genesys]\norg = "{org}"'))
    if org.strip() == org and org and "\\" not in org:
        assert ["genesys.org"] == list(problems(tmp_path, QUEUETICK_ORG=org))


# stats


def test_an_unknown_time_zone_names_the_nearest(tmp_path) -> None:
    found = problems(tmp_path, '[stats]\ntimezone = "Berlin"\n')
    problem = "'Berlin' is not a known time zone; did you mean Europe/Berlin?"
    assert {"stats.timezone": (problem, "name an IANA zone such as Europe/Berlin")} == found
    assert "Europe/Berlin" == read(tmp_path, '[stats]\ntimezone = "Europe/Berlin"\n').stats.timezone


# metrics.tls_*


@pytest.fixture(scope="module")
def pems(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("pems")
    for name in ("a", "b"):
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                   "-keyout", f"{name}.key", "-out", f"{name}.pem"]  # fmt: skip
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
    command = ["openssl", "rsa", "-aes128", "-passout", "pass:x", "-in", "a.key", "-out", "locked.key"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return directory


def tls(**paths: Path | str) -> str:
    return "[metrics]\n" + "".join(f'{name} = "{path}"\n' for name, path in paths.items())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_certificate_and_key_belong_together(pems, tmp_path) -> None:
    both = {"tls_cert": pems / "a.pem", "tls_key": pems / "a.key"}
    config = read(tmp_path, tls(**both, tls_client_ca=certifi.where()))
    assert str(pems / "a.pem") == config.metrics.tls_cert
    expected = {
        tls(tls_key=pems / "a.key"): ["metrics.tls_key"],
        tls(tls_cert=pems / "a.pem"): ["metrics.tls_cert"],
        tls(tls_client_ca=pems / "a.pem"): ["metrics.tls_client_ca"],
        tls(tls_cert=pems / "a.pem", tls_key=pems / "b.key"): ["metrics.tls_cert"],
        tls(tls_cert=pems / "a.pem", tls_key=pems / "locked.key"): ["metrics.tls_cert"],
        tls(tls_cert=pems / "a.key", tls_key=pems / "a.pem"): ["metrics.tls_cert", "metrics.tls_key"],
        tls(tls_cert="/nonexistent", tls_key="/nonexistent"): ["metrics.tls_cert", "metrics.tls_key"],
        tls(tls_cert=pems, tls_key=pems / "a.key"): ["metrics.tls_cert"],
        tls(**both, tls_client_ca=pems / "a.key"): ["metrics.tls_client_ca"],
        tls(**both, tls_client_ca=""): ["metrics.tls_client_ca"],
    }
    for text, keys in expected.items():
        assert keys == list(problems(tmp_path, text)), text


# [[thresholds]]


def test_thresholds_are_read_in_their_order(tmp_path) -> None:
    text = """
        [[thresholds]]
        names = ["[VIP]*", "Gold"]
        media = ["voice"]
        waiting = [1, 5]
        longest_wait = 60
        hours = "Mon-Fri 08:00-18:00 Europe/Berlin"
        [[thresholds]]
        divisions = ["EMEA"]
    """
    first, second = read(tmp_path, text).thresholds
    hours = "Mon-Fri 08:00-18:00 Europe/Berlin"
    assert Threshold(("[VIP]*", "Gold"), (), ("voice",), (1.0, 5.0), 60.0, hours) == first
    assert Threshold(divisions=("EMEA",)) == second


def test_every_problem_of_every_threshold_is_named_at_once(tmp_path) -> None:
    text = """
        [[thresholds]]
        names = ["a", 3]
        wating = 3
        waiting = [5, 1]
        longest_wait = -1
        hours = "Mo-Fr"
        [[thresholds]]
        names = []
        media = ["Voice"]
        waiting = "many"
        longest_wait = [1, nan]
        [[thresholds]]
        waiting = [1, 2, 3]
        longest_wait = [true, 2]
    """
    found = problems(tmp_path, text)
    expected = {
        "thresholds[0].names[1]": "must be text (it is 3)",
        "thresholds[0].wating": "is not a setting",
        "thresholds[0].waiting": "warns at 5, above its critical 1",
        "thresholds[0].longest_wait": "has a limit that is not a number from 0 up",
        "thresholds[0].hours": "is invalid: 'mo' is not a day of Mon, Tue, Wed, Thu, Fri, Sat, Sun",
        "thresholds[1].names": "is empty: it selects no queue",
        "thresholds[1].media": "'Voice' is not a media type",
        "thresholds[1].waiting": "must be a number or a list, not text (it is 'many')",
        "thresholds[1].longest_wait": "has a limit that is not a number from 0 up",
        "thresholds[2].waiting": "must have 2 values, not 3 (it is [1, 2, 3])",
    }
    assert expected == {key: found[key][0] for key in expected}
    assert {*expected, "thresholds[2].longest_wait"} == set(found)
    assert "did you mean thresholds[0].waiting?" == found["thresholds[0].wating"][1]


@pytest.mark.parametrize(
    "text", ["thresholds = 3", "[thresholds]\nwaiting = 1", 'thresholds = ["x"]', "thresholds = [[1]]"]
)
def test_thresholds_that_are_no_tables_are_a_problem(text, tmp_path) -> None:
    [key] = problems(tmp_path, text)
    assert key in ("thresholds", "thresholds[0]")


def test_a_changed_threshold_is_a_change(tmp_path) -> None:
    before = read(tmp_path, "[[thresholds]]\nwaiting = 1\n")
    assert ["thresholds"] == before.changed(read(tmp_path, "[[thresholds]]\nwaiting = 2\n"))
    assert [{"waiting": 1.0}] == [
        {name: value for name, value in table.items() if name == "waiting"}
        for table in before.masked()["thresholds"]
    ]
    assert ["HTTPS_PROXY", "NO_PROXY"] == read(tmp_path).changed(
        read(tmp_path, HTTPS_PROXY="http://x:1", NO_PROXY="y")
    )


# Any source at all

SECRET = "s3cr3t-0f-the-cl13nt"
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_PIECES = st.sampled_from(
    ["GENESYS_REGION", "GENESYS_API_URL", "GENESYS_CLIENT_SECRET", "HTTPS_PROXY", "=", "'", '"', "\n", SECRET, "#", "http://",
     f"http://me:{SECRET}@", "h:1", "\\", "export ", "[", "\ufeff", "\u200b", " "]
)  # fmt: skip
_FILE = (
    st.binary(max_size=60)
    | _TEXT.map(str.encode)
    | st.lists(_PIECES, max_size=12).map("".join).map(str.encode)
    | st.lists(_PIECES, max_size=8).map("".join).map(lambda text: text.encode("utf-16"))
)
_VARIABLES = st.dictionaries(
    st.sampled_from(["GENESYS_REGION", "GENESYS_API_URL", "GENESYS_LOGIN_URL", "QUEUETICK_ORG", "HTTPS_PROXY",
                     "NO_PROXY", "GENESYS_CLIENT_ID", "GENESYSCLOUD_REGION"]),
    st.text(max_size=20) | st.lists(_PIECES, max_size=5).map("".join),
)  # fmt: skip


@OFTEN
@given(dotenv=_FILE, toml=_FILE, credential=_FILE | st.none(), variables=_VARIABLES)
def test_any_bytes_in_any_source_are_a_config_or_problems_without_a_secret(
    dotenv, toml, credential, variables, tmp_path
) -> None:
    (tmp_path / ".env").write_bytes(dotenv)
    (tmp_path / "config.toml").write_bytes(toml)
    environ = {**LOGIN, "GENESYS_CLIENT_SECRET": SECRET, **variables}
    if credential is not None:
        (tmp_path / "genesys_client_id").write_bytes(credential)
        environ["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    try:
        config = load(None, regions=REGIONS, environ=environ, directory=tmp_path)
    except ConfigError as error:
        assert all(problem.key and problem.problem and problem.fix for problem in error.problems)
        assert SECRET not in str(error.problems)
    else:
        assert SECRET not in repr(config)
        assert config.secrets()
