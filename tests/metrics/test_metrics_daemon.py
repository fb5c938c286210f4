"""The daemon with its metrics, on the simulator's real socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from .certificates import Authority
from .scraping import config, free_port, get, wait_for

GATED = {"genesys_queue_waiting": "waiting", "genesys_queue_interacting": "interacting"}


def test_a_scrape_says_what_the_lines_say(start, simulator, promtool) -> None:
    """Between two cycles, each value is the one in the last line of its queue."""
    daemon = start(config(interval=2, batch_size=20))
    series = daemon.until(
        lambda series: series.one("queuetick_cycles_total", outcome="ok") == 2, "two cycles"
    )
    snapshots = {line["queue_id"]: line for line in daemon.events("queue.snapshot") if line["cycle"] == 2}
    assert set(simulator.queue_ids) == series.ids() == set(snapshots)
    for queue_id, line in snapshots.items():
        labels = {"queue_id": queue_id, "queue_name": line["queue_name"], "division": line["division"]}
        assert series.one("genesys_queue_agents_available", **labels) == line["agents_available"]
        assert series.one("genesys_queue_agents_on_queue", **labels) == line["agents_on_queue"]
        for name, field in GATED.items():
            assert series.total(name, queue_id=queue_id) == line[field]
            for media, counts in line["media"].items():
                assert series.one(name, media=media, **labels) == counts[field]
        longest = series.select("genesys_queue_longest_wait_seconds", queue_id=queue_id).values()
        assert max(longest, default=None) == line["longest_wait_seconds"]
    assert (6, 6, 45) == (
        series.one("queuetick_batches_total", outcome="answered"),
        series.one("queuetick_requests_total"),
        series.one("queuetick_queues", state="reporting"),
    )
    assert series.one("queuetick_budget_needed_requests") == 90
    assert series.one("queuetick_token_renewals_total", reason="start") == 1
    assert abs(time.time() - series.one("queuetick_last_success_timestamp_seconds")) < 10
    status, text = get(daemon.url() + "/metrics")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text.encode(), capture_output=True, check=False
    )
    assert (200, 0, b"", b"") == (status, done.returncode, done.stdout, done.stderr)
    daemon.stop()
    assert daemon.process.returncode == 0


def test_the_details_endpoint_has_waiting_without_media_and_nothing_that_it_does_not_say(start) -> None:
    daemon = start('[genesys]\nendpoint = "details"\n' + config())
    series = daemon.until(lambda series: series.ids(), "a cycle")
    assert not [dict(labels) for labels in series.select("genesys_queue_waiting") if "media" in dict(labels)]
    assert len(series.select("genesys_queue_waiting")) == 45
    for name in ("interacting", "longest_wait_seconds", "agents_on_queue"):
        assert series.total(f"genesys_queue_{name}") is None


def test_a_queue_that_stops_reporting_disappears_whatever_the_reason(start, simulator) -> None:
    silent, refused, removed, failed = simulator.queue_ids[:4]
    daemon = start(config(more="[queues]\nrefresh = 1\n"))
    everything = set(simulator.queue_ids)
    daemon.until(lambda series: series.ids() == everything, "all queues")

    simulator.set_faults(missing_queues=(silent,))
    daemon.until(lambda series: series.ids() == everything - {silent}, "the missing queue goes")
    simulator.set_faults(missing_queues=(), bad_ids=(refused,))
    daemon.until(
        lambda series: series.ids() == everything - {refused}, "the refused id goes, the missing is back"
    )
    simulator.set_faults(bad_ids=())
    simulator.remove_queue(removed)
    daemon.until(lambda series: series.ids() == everything - {removed}, "the removed queue goes")
    assert failed in daemon.scrape().ids()


def test_queues_whose_batch_fails_disappear_with_that_cycle(start, simulator) -> None:
    daemon = start(config())
    daemon.until(lambda series: len(series.ids()) == 45, "all queues")
    simulator.set_faults(status={404: 1.0})
    series = daemon.until(lambda series: not series.ids(), "every queue goes")
    assert not [name for name, _ in series if name.startswith("genesys_")]
    simulator.set_faults(status={})
    daemon.until(lambda series: len(series.ids()) == 45, "every queue is back")


def test_during_a_pause_values_go_after_three_intervals(start, simulator) -> None:
    daemon = start(config())
    daemon.until(lambda series: len(series.ids()) == 45, "all queues")
    simulator.set_faults(status={429: 1.0}, status_retry_after=30)
    series = daemon.until(lambda series: not series.ids(), "every queue goes")
    wait_for(lambda: get(daemon.url() + "/healthz")[0] == 503, "/healthz is 503", 10)
    series = daemon.until(
        lambda series: series.one("queuetick_cycles_skipped_total", reason="rate_limit"), "skips"
    )
    assert series.total("queuetick_rate_limit_paused") == 1
    assert series.total("queuetick_rate_limit_pauses_total", source="retry-after") == 1
    assert "rate_limit" in json.loads(get(daemon.url() + "/healthz")[1])["reason"]
    assert get(daemon.url() + "/livez")[0] == 200, "a pause is progress"


def test_a_renamed_queue_leaves_no_series_of_its_old_name(start, simulator) -> None:
    queue_id = simulator.queue_ids[0]
    daemon = start(config(more="[queues]\nrefresh = 1\n"))
    daemon.until(lambda series: series.ids(), "a cycle")
    simulator.rename_queue(queue_id, 'New "name" \\ é')

    def names(series):
        return {
            dict(labels)["queue_name"]
            for metric in ("waiting", "interacting", "agents_available", "agents_on_queue")
            for labels in series.select(f"genesys_queue_{metric}", queue_id=queue_id)
        }

    daemon.until(lambda series: names(series) == {'New "name" \\ é'}, "only the new name")


def test_healthz_turns_503_when_the_api_dies_and_200_when_it_is_back(start, simulator) -> None:
    daemon = start(config())
    health = daemon.url() + "/healthz"
    wait_for(lambda: get(health)[0] == 200, "/healthz is 200")
    simulator.set_faults(status={503: 1.0})
    status, text = wait_for(lambda: (found := get(health))[0] == 503 and found, "/healthz is 503")
    answer = json.loads(text)
    assert (503, "failing") == (status, answer["status"])
    assert "got no answer" in answer["reason"]
    assert answer["last_success_seconds_ago"] < 5, "told at the first failed cycle"
    assert get(daemon.url() + "/livez")[0] == 200, "restarting the daemon would not help"
    series = daemon.until(lambda series: series.one("queuetick_api_lost", cause="answer") == 1, "API lost")
    assert series.select("queuetick_api_lost")[("cause", "credentials"),] == 0
    simulator.set_faults(status={})
    wait_for(lambda: get(health)[0] == 200, "/healthz is 200 again", 40)
    daemon.until(lambda series: series.total("queuetick_api_lost") == 0, "API back")


def health(url: str) -> tuple[int, str, list[str], str]:
    status, text = get(url + "/healthz")
    answer = json.loads(text)
    return status, answer["status"], answer["causes"], answer["reason"]


def test_healthz_names_a_queue_that_is_not_polled(start, simulator) -> None:
    simulator.set_faults(bad_ids=simulator.queue_ids[:1])
    daemon = start(config())
    found = wait_for(
        lambda: (found := health(daemon.url()))[0] == 503 and found[2] == ["partial"] and found, "503"
    )
    assert "degraded" == found[1]
    assert "44 of 45 queues (1 invalid)" in found[3]
    simulator.set_faults(bad_ids=())


def test_healthz_says_that_no_queue_is_selected(start) -> None:
    daemon = start(config(more='[queues]\nnames = ["Nope*"]\n'))
    wait_for(lambda: daemon.events("cycle.completed"), "a cycle")
    status, word, _, reason = wait_for(
        lambda: (found := health(daemon.url()))[2] == ["none_selected"] and found, "none_selected"
    )
    assert (503, "failing", True) == (status, word, "Nope*" in reason), reason


@pytest.mark.parametrize("kind", ["stdout", "named pipe"])
def test_healthz_says_that_no_line_can_be_written_and_livez_stays(credentials, tmp_path, kind) -> None:
    """The output is a pipe that nobody reads, or has open. Once it is read the lines come, and all is well."""
    url = f"http://127.0.0.1:{free_port()}"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    more = f'[output]\npath = "{fifo}"\n' if kind == "named pipe" else ""
    (tmp_path / "config.toml").write_text(config(interval=0.2, listen=url.removeprefix("http://"), more=more))
    command = [sys.executable, "-m", "queuetick", "run"]
    process = subprocess.Popen(command, env=credentials, cwd=tmp_path, stdout=subprocess.PIPE)
    stream = process.stdout
    try:
        wait_for(lambda: reachable(url + "/livez"), "it listens")
        found = wait_for(
            lambda: (found := health(url))[0] == 503 and "output" in found[2] and found, "503", 40
        )
        assert "no line could be written" in found[3]
        assert get(url + "/livez")[0] == 200
        if kind == "named pipe":
            stream = fifo.open("rb")
        reader = threading.Thread(target=stream.read, daemon=True)
        reader.start()
        wait_for(lambda: health(url)[0] == 200, "lines are written again", 30)
        process.terminate()
        assert process.wait(15) == 0
        reader.join(10)
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
        stream.close()


def test_credentials_refused_later_are_told_from_an_outage(start, simulator) -> None:
    daemon = start(config())
    daemon.until(lambda series: series.ids(), "a cycle")
    simulator.set_faults(login_status={401: 1.0})
    simulator.revoke_tokens()
    daemon.until(
        lambda series: series.one("queuetick_api_lost", cause="credentials") == 1, "credentials refused"
    )


def test_sighup_moves_the_listener_turns_it_off_and_on(start) -> None:
    daemon = start(config())
    first = daemon.url()
    wait_for(lambda: get(first + "/healthz")[0] == 200, "a cycle")
    port = free_port()
    daemon.configure(config(listen=f"127.0.0.1:{port}"))
    assert daemon.url(2) == f"http://127.0.0.1:{port}"
    before = get(daemon.url(2) + "/metrics")[1]
    assert 'queuetick_token_renewals_total{reason="start"} 1.0' in before, "what was counted is kept"
    assert not reachable(first)
    assert ["metrics.listen"] == daemon.events("config.reloaded")[0]["changed"]

    daemon.configure(config(listen=f"0.0.0.0:{port}"))
    daemon.url(3)
    assert get(f"http://127.0.0.1:{port}/metrics")[0] == 200, "the same port on every address"
    daemon.configure("[poll]\ninterval = 0.5\n")
    wait_for(lambda: not reachable(f"http://127.0.0.1:{port}"), "turned off")
    daemon.stop()
    assert daemon.process.returncode == 0


def test_sighup_to_a_port_that_is_taken_is_rejected_and_the_old_one_serves_on(start) -> None:
    daemon = start(config())
    with taken_port() as port:
        more = "[output]\npath = 'elsewhere.jsonl'\n"
        text = config(listen=f"127.0.0.1:{port}", interval=1, more=more)
        daemon.configure(text.replace("requests_per_minute = 250", "requests_per_minute = 200"))
        rejected = wait_for(lambda: daemon.events("config.rejected"), "config.rejected")[0]
    assert ["metrics.listen"] == [problem["key"] for problem in rejected["problems"]]
    series = daemon.scrape()
    assert (0, 0.5, 250) == (
        series.one("queuetick_config_last_reload_successful"),
        series.one("queuetick_interval_seconds"),
        series.one("queuetick_budget_allowed_requests"),
    )


def test_an_address_that_cannot_be_had_is_a_fault_in_words(queuetick, credentials) -> None:
    """Exit 1, which systemd tries again: a port may be free by then."""
    with taken_port() as port:
        taken = f"127.0.0.1:{port}"
        for listen in (taken, "192.0.2.1:9477", "no-such-host.invalid:9477"):
            done = queuetick("run", env=credentials, config=config(listen=listen))
            assert (1, "", 1) == (done.code, done.stdout, done.stderr.count("\n"))
            assert f"metrics.listen: {listen} cannot be used: " in done.stderr
            assert listen != taken or "Address already in use. Fix: " in done.stderr


def test_without_the_package_one_sentence_names_the_pip_command(queuetick, credentials, tmp_path) -> None:
    """Exit 78: restarting installs nothing."""
    (tmp_path / "prometheus_client.py").write_text(
        "raise ModuleNotFoundError('No module named prometheus_client', name='prometheus_client')\n"
    )
    done = queuetick("run", env=credentials, config=config())
    assert (78, "") == (done.code, done.stdout)
    assert "pip install 'queuetick[metrics]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_listen_the_package_is_not_needed(queuetick, credentials, tmp_path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError\n")
    assert queuetick("once", env=credentials, config="").code == 0


def test_once_leaves_the_port_to_the_daemon(queuetick, credentials) -> None:
    with taken_port() as port:
        assert queuetick("once", env=credentials, config=config(listen=f"127.0.0.1:{port}")).code == 0


def test_a_flood_costs_a_bounded_number_of_descriptors_no_line_and_no_cycle(start) -> None:
    """1,500 connections that stay open over ten cycles: silent, half asked, asked and not read."""
    daemon = start(config(interval=0.3))
    daemon.until(lambda series: series.ids(), "a cycle")
    host, port = daemon.url().removeprefix("http://").split(":")
    descriptors = Path(f"/proc/{daemon.process.pid}/fd")
    before, most = len(list(descriptors.iterdir())), 0
    messages = len(daemon.events("log.message"))
    asked = (b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\n\r\n")
    with contextlib.ExitStack() as held:
        for number in range(1500):
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_connection((host, int(port)), 5)).sendall(asked[number % 3])
            if number % 20 == 0:
                most = max(most, len(list(descriptors.iterdir())))
        seen = len(daemon.events("cycle.completed"))
        daemon.await_event("cycle.completed", seen + 10)
        assert daemon.scrape().ids(), "a scraper is answered in the flood"
    assert most < before + 40
    assert messages == len(daemon.events("log.message"))
    assert {"ok"} == {line["outcome"] for line in daemon.events("cycle.completed")}
    assert not daemon.events("cycle.crashed")
    daemon.stop()
    assert daemon.process.returncode == 0


def test_a_reload_serves_the_renewed_certificate(start, tmp_path) -> None:
    """The paths stay, the files are new: as after certbot and `systemctl reload`."""

    def served() -> str:
        host, port = daemon.url(scheme="https").removeprefix("https://").split(":")
        return ssl.get_server_certificate((host, int(port)))

    first = Authority(tmp_path, "server")
    daemon = start(config(more=f'tls_cert = "{first.cert}"\ntls_key = "{first.key}"\n'))
    assert served() == first.cert.read_text()
    cert, key = (second := Authority(tmp_path, "server")).cert, second.key
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: served() == cert.read_text(), "the renewed certificate")
    key.write_text("broken")
    daemon.process.send_signal(signal.SIGHUP)
    [problem] = wait_for(lambda: daemon.events("config.rejected"), "config.rejected")[0]["problems"]
    assert problem["key"] == "metrics.tls_key"
    assert served() == cert.read_text(), "the earlier certificate is served on"


def test_sigterm_is_not_held_up_by_a_connection(start) -> None:
    daemon = start(config())
    daemon.until(lambda series: series.ids(), "a cycle")
    host, port = daemon.url().removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))):
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(10) == 0


def test_a_body_is_not_waited_for(start) -> None:
    daemon = start(config())
    daemon.until(lambda series: series.ids(), "a cycle")
    connection = http.client.HTTPConnection(daemon.url().removeprefix("http://"), timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", "/healthz", headers={"Content-Length": "1000000"})
        assert connection.getresponse().status == 200


def reachable(url: str) -> bool:
    try:
        get(url)
    except (OSError, http.client.HTTPException):  # it may be turned off in the middle of an answer
        return False
    return True


@contextlib.contextmanager
def taken_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]
