"""`check --unit` takes file, variables and credentials from where the unit takes them: see also tests/system."""

from __future__ import annotations

import json
import stat
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuetick.check.unit import environment_file

UNIT = "queuetick@emea.service"


@pytest.fixture
def unit(tmp_path, credentials, simulator):
    """A `busctl` and a `systemd-creds` on PATH that answer for one unit, and the environment to run with."""
    programs = tmp_path / "bin"
    programs.mkdir()

    def make(state: str = "loaded", **changes) -> dict[str, str]:
        for name, content in (("id", simulator.client_id), ("secret", simulator.client_secret)):
            (tmp_path / name).write_text(content + "\n")
        (tmp_path / "emea.toml").write_text(f'[genesys]\napi_url = "{simulator.url}"\n')
        properties = {
            "ExecStart": [["/bin/q", ["/bin/q", "run", "--config", f"{tmp_path}/emea.toml"], False, 0]],
            "Environment": ["QUEUETICK_ORG=emea"],
            "EnvironmentFiles": [],
            "StandardOutput": "journal",
            "User": "queuetick-emea",
            "WorkingDirectory": "",
            "LoadCredential": [["genesys_client_id", f"{tmp_path}/id"]],
            "LoadCredentialEncrypted": [["genesys_client_secret", f"{tmp_path}/secret"]],
            "SetCredential": [],
            "SetCredentialEncrypted": [],
            **changes,
        }
        answers = {
            "LoadUnit": [["/unit"]],
            "LoadState": [state],
            "ExecStart": list(properties.values()),
            "Manager": [["PATH=/usr/bin", "LANG=C.UTF-8"]],
        }
        for name, values in answers.items():
            lines = "".join(json.dumps({"type": "x", "data": value}) + "\n" for value in values)
            (programs / f"{name}.answer").write_text(lines)
        script(
            programs / "busctl",
            'case "$*" in *LoadUnit*) f=LoadUnit;; *LoadState*) f=LoadState;; *Manager\\ Environment) f=Manager;; '
            f'*) f=ExecStart;; esac; cat "{programs}/$f.answer"',
        )
        script(programs / "systemd-creds", "exec cat")
        kept = {key: value for key, value in credentials.items() if not key.startswith("GENESYS_")}
        return {**kept, "PATH": f"{programs}:{credentials['PATH']}"}

    return make


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_everything_comes_from_the_unit(unit, check, tmp_path) -> None:
    diagnosis = check(env=unit(), arguments=("--unit", "queuetick@emea"))
    assert diagnosis.code == 0
    assert diagnosis["unit"]["message"] == f"{UNIT}: --config {tmp_path}/emea.toml, as user queuetick-emea"
    sources = {item["subject"]: item["message"] for item in diagnosis["config"]["items"]}
    assert sources[f"{tmp_path}/id (LoadCredential)"] == "sets GENESYS_CLIENT_ID"
    assert sources[f"{tmp_path}/secret (LoadCredentialEncrypted)"] == "sets GENESYS_CLIENT_SECRET"
    assert sources[f"the environment of {UNIT}"] == "sets genesys.org"
    assert diagnosis["output"]["message"] == f"stdout of {UNIT}: journal"


def test_no_decrypted_credential_is_left_behind(unit, check, tmp_path) -> None:
    mark = f"mark-{uuid.uuid4()}"
    given = [["genesys_client_id", f"{tmp_path}/id"], [mark, f"{tmp_path}/id"]]
    diagnosis = check(env=unit(LoadCredential=given), arguments=("--unit", "queuetick@emea"))
    assert diagnosis.code == 0
    for place in ("/run", "/dev/shm"):  # noqa: S108 - where they are held meanwhile
        assert list(Path(place).glob(f"queuetick-check-*/{mark}")) == []


def test_the_caller_s_own_variables_do_not_count(unit, check, credentials) -> None:
    env = {**unit(), "GENESYS_CLIENT_SECRET": "the-caller-s", "GENESYS_API_URL": "http://127.0.0.1:9"}
    assert check(env=env, arguments=("--unit", "queuetick@emea")).code == 0


def test_an_environment_file_overrides_environment(unit, check, tmp_path) -> None:
    (tmp_path / "env").write_text("# a comment\nQUEUETICK_ORG='from file'\nGENESYS_REGION=the-moon\n")
    env = unit(EnvironmentFiles=[[f"{tmp_path}/env", False], [f"{tmp_path}/absent", True]])
    diagnosis = check(env=env, arguments=("--unit", "queuetick@emea"))
    assert diagnosis.code == 78
    assert "'the-moon' is not a Genesys Cloud region" in json.dumps(diagnosis["config"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "not-found"}, f"systemd has no unit {UNIT}"),
        ({"LoadCredential": [["genesys_client_id", "/nonexistent/id"]]}, "/nonexistent/id does not exist"),
        (
            {"EnvironmentFiles": [["/nonexistent/env", False]]},
            "EnvironmentFile=/nonexistent/env does not exist",
        ),
        ({"ExecStart": [["/bin/sleep", ["/bin/sleep", "9"], False]]}, "does not start `queuetick run`"),
    ],
)
def test_a_unit_that_cannot_be_taken_is_one_sentence_with_a_fix(changes, words, unit, check) -> None:
    diagnosis = check(env=unit(**changes), arguments=("--unit", "queuetick@emea"))
    assert diagnosis.code == 1
    assert words in diagnosis["unit"]["message"]
    assert diagnosis["unit"]["fix"]
    assert diagnosis["output"]["message"] == "unit failed"


def test_a_credential_that_does_not_decrypt_is_named(unit, check, tmp_path) -> None:
    env = unit()
    script(tmp_path / "bin" / "systemd-creds", "echo 'wrong key' >&2; exit 1")
    diagnosis = check(env=env, arguments=("--unit", "queuetick@emea"))
    assert diagnosis["unit"]["message"] == (
        "the credential genesys_client_secret cannot be decrypted: systemd-creds: wrong key"
    )


def test_without_systemd_the_words_say_so(check, credentials, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    diagnosis = check(env={**credentials, "PATH": f"{tmp_path}/empty"}, arguments=("--unit", "queuetick"))
    assert (diagnosis.code, diagnosis["unit"]["message"]) == (1, "busctl is not installed")


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_]{1,10}", fullmatch=True),
        st.from_regex(r"[!-~]{1,3}[ -~]{0,20}[!-~]", fullmatch=True),
    )
)
def test_a_plain_value_of_an_environment_file_is_taken_as_it_is(values) -> None:
    plain = {key: value for key, value in values.items() if not set(value) & set("'\"\\")}
    text = "".join(f"{key}={value}\n" for key, value in plain.items())
    assert environment_file(text) == plain


def test_quotes_comments_and_continued_lines_of_an_environment_file() -> None:
    text = 'A="b c"\n; no\n# no\nB=\'x "y"\'\nC=one \\\ntwo\nD=a#b # c\n E = f\nnonsense\n'
    assert environment_file(text) == {"A": "b c", "B": 'x "y"', "C": "one two", "D": "a#b # c", "E": "f"}
