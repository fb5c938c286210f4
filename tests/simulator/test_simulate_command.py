"""`queuetick simulate` as a process: its first line, its options, its end."""

import argparse
import ast
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from simulator_client import basic, exchange

import queuetick.simulator
from queuetick.simulator import Faults
from queuetick.simulator.command import MISSING_AIOHTTP, add_arguments, read_faults, run

COMMAND = [sys.executable, "-m", "queuetick.simulator"]


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_first_line_is_all_a_client_needs_and_a_signal_ends_it_with_0(stop: signal.Signals) -> None:
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


def test_more_particular_options_win(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text("rate_limit = 10\nhang = 0.0\n")
    assert read_faults(options()) == Faults()
    assert read_faults(options("--hostile")) == Faults.hostile()
    mixed = read_faults(options("--hostile", "--faults", str(file), "--token-lifetime", "60"))
    assert (mixed.rate_limit, mixed.hang, mixed.token_lifetime) == (10, 0.0, 60.0)
    assert mixed.reset == Faults.hostile().reset
    assert read_faults(options("--faults", str(file), "--rate-limit", "0")).rate_limit == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])  # noqa: S104
def test_an_address_others_can_reach_must_be_meant(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(options("--host", host)) == 2
    assert "--allow-remote" in capsys.readouterr().err


def test_options_that_make_no_sense_are_a_sentence_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "faults.toml"
    file.write_text("explode = 1\n")
    assert run(options("--faults", str(file))) == 2
    assert "unknown fault 'explode'" in capsys.readouterr().err
    file.write_text("hang = ")
    assert run(options("--faults", str(file))) == 2
    assert run(options("--faults", str(tmp_path / "none.toml"))) == 2
    assert run(options("--rate-limit", "-1")) == 2
    assert run(options("--queues", "0")) == 2
    assert capsys.readouterr().out == ""


def test_a_port_in_use_is_a_sentence_and_1(capsys: pytest.CaptureFixture[str]) -> None:
    with queuetick.simulator.Simulator(queues=1) as simulator:
        port = simulator.url.rpartition(":")[2]
        assert run(options("--queues", "1", "--port", port)) == 1
    assert "cannot listen" in capsys.readouterr().err


def test_without_aiohttp_one_sentence_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['aiohttp'] = None; sys.argv = ['simulate']; "
        "import runpy; runpy.run_module('queuetick.simulator', run_name='__main__')"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (1, "", MISSING_AIOHTTP + "\n")


def test_the_simulator_imports_nothing_of_the_rest() -> None:
    for file in Path(str(queuetick.simulator.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                root = name.split(".")[0]
                assert (
                    root in sys.stdlib_module_names
                    or root == "aiohttp"
                    or name.startswith("queuetick.simulator")
                ), f"{file.name} imports {name}"
