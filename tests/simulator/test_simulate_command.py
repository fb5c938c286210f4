"""`queuetick simulate` as a process: its first line, its options, its end."""

import argparse
import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from simulator_client import basic, exchange

import queuetick.simulator
from queuetick.simulator import Faults, Simulator
from queuetick.simulator.command import MISSING_AIOHTTP, add_arguments, read_faults, run
from queuetick.simulator.named_faults import NAMED
from support.servers import needs_ipv6

COMMAND = [sys.executable, "-m", "queuetick", "simulate"]


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_first_line_is_all_a_client_needs_and_a_signal_ends_it_with_0(stop):
    with subprocess.Popen([*COMMAND, "--queues", "3"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        login = basic(started["client_id"], started["client_secret"])
        reply = exchange(started["url"], "POST", "/oauth/token", b"grant_type=client_credentials", login)
        controlled = exchange(started["control_url"], "GET", "/queues")
        process.send_signal(stop)
        rest = process.stdout.read()
    assert list(started) == ["event", "url", "client_id", "client_secret", "control_url"]
    assert started["event"] == "simulator.started"
    assert reply.status == 200
    assert len(controlled.json["queues"]) == 3
    assert (rest, process.returncode) == ("", 0)


def test_more_particular_options_win(tmp_path):
    file = tmp_path / "faults.toml"
    file.write_text("rate_limit = 10\nhang = 0.0\n")
    assert read_faults(options()) == Faults()
    assert read_faults(options("--hostile")) == Faults.hostile()
    mixed = read_faults(options("--hostile", "--faults", str(file), "--token-lifetime", "60"))
    assert (mixed.rate_limit, mixed.hang, mixed.token_lifetime) == (10, 0.0, 60.0)
    assert mixed.reset == Faults.hostile().reset
    assert read_faults(options("--faults", str(file), "--rate-limit", "0")).rate_limit == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])  # noqa: S104
def test_an_address_others_can_reach_must_be_meant(host, capsys):
    assert run(options("--host", host)) == 2
    assert "--allow-remote" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "80000"],
        ["--port", "-1"],
        ["--port", "http"],
        ["--control-port", "65536"],
        ["--queues", "0"],
        ["--queues", "5001"],
        ["--queues", "many"],
        ["--seed", "x"],
        ["--rate-limit", "-1"],
        ["--rate-limit", "1e3"],
        ["--token-lifetime", "0"],
        ["--token-lifetime", "nan"],
        ["--token-lifetime", "inf"],
        ["--at", "25:00"],
        ["--at", "10"],
        ["--at", "10:60"],
        ["--trouble", "2"],
        ["--trouble", "nan"],
    ],
)
def test_an_option_out_of_range_is_a_usage_error_that_names_it(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        options(*arguments)
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert f"argument {arguments[0]}: " in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--port", "8080", "--control-port", "8080"], None),
        (["--faults", "FILE"], "explode = 1\n"),
        (["--faults", "FILE"], "hang = "),
        (["--faults", "FILE"], 'hang = "\udcff"\n'),
        (["--faults", "FILE"], None),
        (["--faults", "DIRECTORY"], None),
        (["--fault", "explode"], None),
        (["--env", "DIRECTORY"], None),
        (["--env", "DIRECTORY/none/.env"], None),
        (["--env", "FILE"], "GENESYS_CLIENT_SECRET=real\n"),
    ],
)
def test_options_that_are_invalid_together_or_in_their_files_are_a_sentence_and_2(
    arguments, text, tmp_path, capsys
):
    file = tmp_path / "file"
    if text is not None:
        file.write_text(text, errors="surrogateescape")
    filled = [each.replace("FILE", str(file)).replace("DIRECTORY", str(tmp_path)) for each in arguments]
    assert run(options(*filled)) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    if text is not None:
        assert file.read_text(errors="surrogateescape") == text


def test_an_option_out_of_range_ends_the_process_without_a_traceback():
    process = subprocess.run([*COMMAND, "--port", "80000"], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout) == (2, "")
    assert "Traceback" not in process.stderr


def test_faults_can_be_listed_by_name(capsys):
    assert run(options("--fault", "list")) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(NAMED)


def test_named_faults_of_the_command_line_add_up():
    faults = read_faults(options("--fault", "slow", "--fault", "listing_empty"))
    assert (faults.latency, faults.listing_empty) == (0.8, True)


def settings_in(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_environment_to_use_it_is_on_stderr_and_in_a_file_that_others_cannot_read(tmp_path):
    """A second simulator replaces the file, whoever's umask."""
    file = tmp_path / ".env"
    for _ in range(2):
        command = [*COMMAND, "--queues", "3", "--env", str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            started = json.loads(process.stdout.readline())
            told = [process.stderr.readline() for _ in range(2)]
            settings = settings_in(file)
            process.terminate()
        assert settings == {
            "GENESYS_API_URL": started["url"],
            "GENESYS_CLIENT_ID": started["client_id"],
            "GENESYS_CLIENT_SECRET": started["client_secret"],
        }
        assert file.stat().st_mode & 0o777 == 0o600
        word, *exported = shlex.split(told[1])
        assert word == "export"
        assert dict(each.split("=", 1) for each in exported) == settings
    assert [each.name for each in tmp_path.iterdir()] == [".env"]


@needs_ipv6
def test_localhost_is_both_loopback_addresses_on_one_port():
    with Simulator(queues=1, host="localhost") as simulator:
        port = simulator.url.rpartition(":")[2]
        assert simulator.url == f"http://localhost:{port}"
        for host in ("127.0.0.1", "[::1]"):
            login = basic(simulator.client_id, simulator.client_secret)
            url = f"http://{host}:{port}"
            assert (
                exchange(url, "POST", "/oauth/token", b"grant_type=client_credentials", login).status == 200
            )


@needs_ipv6
def test_a_port_that_one_family_has_taken_is_not_half_listened_on(capsys):
    with Simulator(queues=1, host="::1") as simulator:
        port = simulator.url.rpartition(":")[2]
        assert run(options("--queues", "1", "--host", "localhost", "--port", port)) == 1
    assert "cannot listen" in capsys.readouterr().err


def test_a_full_stdout_ends_it_with_a_sentence_and_1():
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [*COMMAND, "--queues", "1"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert process.returncode == 1
    assert "No space left" in process.stderr
    assert "Traceback" not in process.stderr


def test_a_port_in_use_is_a_sentence_and_1(capsys):
    with queuetick.simulator.Simulator(queues=1) as simulator:
        port = simulator.url.rpartition(":")[2]
        assert run(options("--queues", "1", "--port", port)) == 1
    assert "cannot listen" in capsys.readouterr().err


def test_without_aiohttp_one_sentence_says_what_to_install():
    program = (
        "import sys; sys.modules['aiohttp'] = None; sys.argv = ['queuetick', 'simulate']; "
        "import runpy; runpy.run_module('queuetick', run_name='__main__')"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (
        1,
        "",
        f"queuetick simulate: {MISSING_AIOHTTP}\n",
    )
