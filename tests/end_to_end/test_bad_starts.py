"""A start that cannot work ends with the right code, says every fix in words, and shows no secret and no traceback."""

from __future__ import annotations

import pytest

SECRET = "do-not-show-this-secret"

BAD_CONFIGS = {
    "unknown key": ("[poll]\nintervall = 15\n", ["poll.intervall", "did you mean poll.interval?"]),
    "broken TOML": ("[poll\ninterval = 15\n", ["config.toml", "not valid TOML", "line 1"]),
    "not UTF-8": (b"\xff\xfe[poll]", ["config.toml", "not UTF-8"]),
    "secret in the file": (
        f'[genesys]\nclient_secret = "{SECRET}"\n',
        ["genesys.client_secret", "GENESYS_CLIENT_SECRET"],
    ),
}
"""One of each kind; every rule is in tests/config."""


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_bad_configuration_exits_78_with_its_key_and_its_fix(case, queuetick, environment) -> None:
    text, words = BAD_CONFIGS[case]
    env = {**environment, "GENESYS_CLIENT_ID": "some-client", "GENESYS_CLIENT_SECRET": SECRET}
    result = queuetick("run", env=env, config=text)
    assert (78, "") == (result.code, result.stdout)
    assert "Fix: " in result.stderr
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr
    assert SECRET not in result.stderr


def test_an_output_that_cannot_be_opened_exits_78_without_a_traceback(queuetick, environment) -> None:
    env = {**environment, "GENESYS_CLIENT_ID": "some-client", "GENESYS_CLIENT_SECRET": SECRET}
    result = queuetick("run", env=env, config='[output]\npath = "/proc/lines.jsonl"\n')
    assert result.code == 78
    assert "output.path: /proc/lines.jsonl cannot be opened" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_problem_is_named_at_once(queuetick, environment) -> None:
    text = '[genesys]\nregion = "nowhere"\n[poll]\nbatch_size = 0\nx = 1\n[queues]\nids = ["a", 3, "b"]\n[what]\n'
    result = queuetick("run", env=environment, config=text)
    assert result.code == 78
    for key in (
        "genesys.region", "poll.batch_size", "poll.x", "queues.ids[0]", "queues.ids[1]", "queues.ids[2]", "what",
        "GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET",
    ):  # fmt: skip
        assert f"  {key}: " in result.stderr


def test_a_config_file_that_is_not_there_is_a_problem(queuetick, environment) -> None:
    result = queuetick("run", "--config", "missing.toml", env=environment)
    assert result.code == 78
    assert "missing.toml: cannot be read" in result.stderr


def test_a_wrong_secret_exits_77_and_says_which_part_is_wrong(queuetick, credentials) -> None:
    result = queuetick("run", env={**credentials, "GENESYS_CLIENT_SECRET": SECRET})
    assert result.code == 77
    assert "the client secret is wrong" in result.stderr
    assert SECRET not in result.stderr + result.stdout
    assert result.lines[-1]["event"] == "daemon.stopped"


def test_an_unknown_client_exits_77_and_says_so(queuetick, credentials) -> None:
    result = queuetick(
        "run", env={**credentials, "GENESYS_CLIENT_ID": "00000000-0000-4000-8000-000000000000"}
    )
    assert result.code == 77
    assert "does not know the client" in result.stderr


@pytest.mark.parametrize("permission", ["analytics:queueObservation:view", "routing:queue:view"])
def test_a_missing_permission_exits_77_and_names_it(permission, queuetick, credentials, simulator) -> None:
    simulator.set_faults(denied_permissions=(permission,))
    result = queuetick("run", env=credentials)
    assert result.code == 77
    assert permission in result.stderr
    assert "Traceback" not in result.stderr


def test_no_command_is_a_usage_error(queuetick, environment) -> None:
    assert queuetick(env=environment).code == 2
    assert queuetick("run", "--no-such-flag", env=environment).code == 2
