"""Each set-up is broken in one way, over a real socket; check has to name that way and how to fix it."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

LISTING = "permission routing:queue:view"
OBSERVING = "permission analytics:queueObservation:view"
STATS = "permission analytics:conversationAggregate:view"
UNKNOWN = "8d2f5c7e-0000-4000-8000-00000000beef"


def test_a_sound_set_up_passes_every_check_and_exits_0(check, credentials):
    diagnosis = check(env=credentials)
    assert diagnosis.code == 0
    assert diagnosis.failed == []
    assert diagnosis.skipped == ["tls", STATS]
    assert diagnosis["login"]["evidence"]["token_lifetime_seconds"] == 86400


def test_a_wrong_secret_is_told_from_an_unknown_client(check, credentials):
    diagnosis = check(env={**credentials, "GENESYS_CLIENT_SECRET": "not-the-secret"})
    assert diagnosis.code == 77
    assert diagnosis.failed == ["login"]
    assert diagnosis["login"]["message"].startswith("wrong client secret")
    assert diagnosis["login"]["evidence"]["status"] == 401
    assert diagnosis["login"]["evidence"]["correlation_id"]
    assert diagnosis["queues"]["message"] == "login failed"


def test_an_unknown_client_id_is_400_invalid_client(check, credentials):
    diagnosis = check(env={**credentials, "GENESYS_CLIENT_ID": UNKNOWN})
    assert diagnosis.code == 77
    assert diagnosis["login"]["message"].startswith("unknown client id")
    assert diagnosis["login"]["evidence"].items() >= {"status": 400, "code": "invalid_client"}.items()
    assert "genesys.region" in diagnosis["login"]["fix"]


BODIES = {
    "OAuth": '{"error": "unauthorized_client", "description": "no such grant"}',
    "API": '{"message": "no", "code": "%s", "status": %d, "contextId": "c"}',
}


@pytest.mark.parametrize(
    ("route", "name", "status", "text", "code", "said"),
    [
        ("login", "login", 400, BODIES["OAuth"], 77, "wrong grant type"),
        ("login", "login", 400, BODIES["API"] % ("bad.request", 400), 77, "login refused"),
        ("login", "login", 302, "", 75, "sign-in page"),
        ("login", "login", 202, "<html>welcome</html>", 75, "sign-in page"),
        ("login", "login", 405, "<html>no</html>", 75, "sign-in page"),
        ("listing", LISTING, 302, "", 75, "the proxy lead to"),
        ("observations", OBSERVING, 418, "<html>no</html>", 75, "the proxy lead to"),
        ("observations", OBSERVING, 401, BODIES["API"] % ("bad.credentials", 401), 1, "are of one region"),
        ("observations", OBSERVING, 400, BODIES["API"] % ("bad.request", 400), 1, "the API itself refuses"),
        ("listing", LISTING, 404, BODIES["API"] % ("not.found", 404), 1, "the API itself refuses"),
    ],
)
def test_a_refusal_names_who_refused_and_what_is_not_genesys_own_exits_75(
    check, credentials, simulator, route, name, status, text, code, said
):
    simulator.set_faults(rules=[{"route": route, "status": status, "text": text}])
    diagnosis = check(env=credentials)
    assert (code, [name]) == (diagnosis.code, diagnosis.failed)
    assert said in diagnosis[name]["message"] + diagnosis[name]["fix"]


def test_a_missing_analytics_permission_is_named_with_the_place_to_grant_it(check, credentials, simulator):
    simulator.set_faults(denied_permissions=("analytics:queueObservation:view",))
    diagnosis = check(env=credentials)
    assert diagnosis.code == 77
    assert diagnosis.failed == [OBSERVING]
    assert (
        diagnosis[OBSERVING]["evidence"].items() >= {"status": 403, "code": "missing.any.permissions"}.items()
    )
    assert "Analytics > Queue Observation > View" in diagnosis[OBSERVING]["fix"]
    assert "scopes do not apply to client credentials" in diagnosis[OBSERVING]["note"]
    assert diagnosis[LISTING]["status"] == "pass"


def test_a_missing_analytics_permission_costs_one_query(check, credentials, simulator):
    simulator.set_faults(denied_permissions=("analytics:queueObservation:view",))
    check(env=credentials)
    assert [r.path for r in simulator.requests].count("/api/v2/analytics/queues/observations/query") == 1


def test_a_metric_that_the_org_does_not_offer_is_a_warning_and_the_rest_is_checked(
    check, credentials, simulator
):
    """The daemon polls without it too: metric.refused."""
    simulator.set_faults(named=("refused_metric",))
    diagnosis = check(env=credentials)
    assert diagnosis.code == 0
    assert diagnosis[OBSERVING]["status"] == "warn"
    assert "does not offer oLongestInteracting" in diagnosis[OBSERVING]["message"]
    assert diagnosis["queues"]["status"] == "pass"


def test_a_missing_routing_permission_is_named_and_the_other_one_still_tested(check, credentials, simulator):
    simulator.set_faults(denied_permissions=("routing:queue:view",))
    diagnosis = check(env=credentials)
    assert diagnosis.code == 77
    assert diagnosis.failed == [LISTING]
    assert "Routing > Queue > View" in diagnosis[LISTING]["fix"]
    assert diagnosis[OBSERVING]["status"] == "pass"
    assert diagnosis["budget"]["message"] == "how many queues there are is not known"


def test_both_permissions_missing_are_both_named_at_once(check, credentials, simulator):
    simulator.set_faults(denied_permissions=("routing:queue:view", "analytics:queueObservation:view"))
    assert check(env=credentials).failed == [LISTING, OBSERVING]


def test_without_the_routing_permission_explicit_ids_only_lose_their_names(check, credentials, simulator):
    simulator.set_faults(denied_permissions=("routing:queue:view",))
    diagnosis = check(env=credentials, config=f'[queues]\nids = ["{simulator.queue_ids[0]}"]\n')
    assert diagnosis.code == 0
    assert diagnosis[LISTING]["status"] == "warn"
    assert diagnosis["queues"]["status"] == "pass"
    assert diagnosis["budget"]["evidence"]["queues"] == 1


def test_an_unknown_region_lists_the_known_ones(check, credentials):
    diagnosis = check(env={**credentials, "GENESYS_REGION": "euw1.pure.cloud"})
    assert diagnosis.code == 78
    assert "is not a Genesys Cloud region" in diagnosis["config"]["message"]
    assert "eu-west-1" in diagnosis["config"]["fix"]


def test_every_problem_of_a_bad_config_is_named_at_once(check, credentials, tmp_path):
    config = (
        f'[poll]\nbatch_sizes = 20\ninterval = "soon"\n[output]\npath = "{tmp_path}/nowhere/lines.json"\n'
    )
    diagnosis = check(env=credentials, config=config)
    assert diagnosis.code == 78
    items = {item["subject"]: item for item in diagnosis["config"]["items"] if item["status"] == "fail"}
    assert set(items) == {"poll.batch_sizes", "poll.interval", "output.path"}
    places = [item["message"] for item in diagnosis["config"]["items"] if item["status"] == "pass"]
    assert places[0].startswith("sets ") and "poll.interval" in places[0]
    assert items["poll.batch_sizes"]["fix"] == "did you mean poll.batch_size?"
    assert items["output.path"]["message"].endswith("nowhere does not exist")
    assert diagnosis["output"]["message"] == "config failed"


def test_a_closed_port_is_named_and_nothing_later_is_tried(check, credentials, closed_port):
    diagnosis = check(env={**credentials, "GENESYS_API_URL": f"http://127.0.0.1:{closed_port}"})
    assert diagnosis.code == 75
    assert diagnosis.failed == ["connection"]
    assert diagnosis["connection"]["message"].endswith("Connection refused")
    assert diagnosis["login"]["message"] == "connection failed"


def test_a_name_that_does_not_resolve_is_named(check, credentials):
    diagnosis = check(env={**credentials, "GENESYS_API_URL": "https://api.genesys.invalid"})
    assert diagnosis.code == 75
    assert diagnosis.failed == ["dns"]
    assert "api.genesys.invalid" in diagnosis["dns"]["message"]
    assert "does not resolve" in diagnosis["dns"]["message"]


def test_a_self_signed_certificate_is_named_and_ca_bundle_fixes_it(check, credentials, self_signed, server):
    certificate = self_signed()
    port = server(401, b'{"error":"invalid_client"}', certificate)
    env = {**credentials, "GENESYS_API_URL": f"https://localhost:{port}"}
    diagnosis = check(env=env)
    assert diagnosis.code == 75
    assert diagnosis.failed == ["tls"]
    assert "self" in diagnosis["tls"]["message"]
    assert "genesys.ca_bundle" in diagnosis["tls"]["fix"]

    fixed = check(env=env, config=f'[genesys]\nca_bundle = "{certificate.certificate}"\n')
    assert fixed["tls"]["status"] == "pass"
    assert "Example Proxy" in fixed["tls"]["message"]
    assert fixed.failed == ["login"]


def test_a_certificate_for_another_name_is_named(check, credentials, self_signed, server):
    certificate = self_signed("gateway.example")
    env = {**credentials, "GENESYS_API_URL": f"https://localhost:{server(certificate=certificate)}"}
    diagnosis = check(env=env, config=f'[genesys]\nca_bundle = "{certificate.certificate}"\n')
    assert "Hostname mismatch" in diagnosis["tls"]["message"]
    assert "the name that the certificate is made out to" in diagnosis["tls"]["fix"]


def test_a_certificate_that_soon_ends_is_warned_about(check, credentials, self_signed, server):
    certificate = self_signed(days=3)
    env = {**credentials, "GENESYS_API_URL": f"https://localhost:{server(401, b'{}', certificate)}"}
    diagnosis = check(env=env, config=f'[genesys]\nca_bundle = "{certificate.certificate}"\n')
    assert diagnosis["tls"]["status"] == "warn"
    assert "days left" in diagnosis["tls"]["message"]


def test_plain_http_behind_an_https_url_is_no_handshake(check, credentials, simulator):
    url = simulator.url.replace("http://127.0.0.1", "https://localhost")
    diagnosis = check(env={**credentials, "GENESYS_API_URL": url})
    assert diagnosis.failed == ["tls"]
    assert "no TLS handshake" in diagnosis["tls"]["message"]


def test_a_ca_bundle_of_broken_certificates_is_a_config_problem(check, credentials, tmp_path):
    bundle = tmp_path / "broken.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    diagnosis = check(env=credentials, config=f'[genesys]\nca_bundle = "{bundle}"\n')
    assert diagnosis.code == 78
    assert "broken.pem has a certificate that cannot be read" in diagnosis["config"]["message"]


def test_a_dead_proxy_is_named_without_its_password(check, credentials, closed_port):
    env = {**credentials, "HTTPS_PROXY": f"http://clerk:hunter2secret@127.0.0.1:{closed_port}"}
    env["GENESYS_API_URL"] = "https://api.genesys.invalid"
    diagnosis = check(env=env)
    assert diagnosis.code == 75
    assert diagnosis.failed == ["proxy"]
    assert f"127.0.0.1:{closed_port}" in diagnosis["proxy"]["message"]
    assert "hunter2secret" not in str(diagnosis.document)


def test_a_proxy_that_wants_a_login_is_named(check, credentials, server):
    env = {**credentials, "HTTPS_PROXY": f"http://127.0.0.1:{server(407, b'')}"}
    env["GENESYS_API_URL"] = "https://api.genesys.invalid"
    diagnosis = check(env=env)
    assert diagnosis.failed == ["tls"]
    assert "407" in diagnosis["tls"]["message"]
    assert "USER:PASSWORD" in diagnosis["tls"]["fix"]
    assert diagnosis["dns"]["message"] == "the proxy resolves the names"


@pytest.mark.parametrize("said", [b"\x05\x00", b"HTTP/1.1 OK\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_a_proxy_that_does_not_answer_in_http_is_named(check, credentials, said):
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(said)

    threading.Thread(target=answer, daemon=True).start()
    env = {**credentials, "HTTPS_PROXY": f"http://127.0.0.1:{listener.getsockname()[1]}"}
    diagnosis = check(env={**env, "GENESYS_API_URL": "https://api.genesys.invalid"})
    listener.close()
    assert diagnosis.failed == ["tls"]
    assert diagnosis["tls"]["fix"]


def test_certificates_are_judged_through_the_proxy_as_the_daemon_sees_them(
    check, credentials, self_signed, server, proxy
):
    certificate = self_signed()
    port = server(401, b"{}", certificate)
    url, asked = proxy
    env = {**credentials, "GENESYS_API_URL": f"https://localhost:{port}", "HTTPS_PROXY": url}
    diagnosis = check(env=env, config=f'[genesys]\nca_bundle = "{certificate.certificate}"\n')
    assert diagnosis["proxy"]["status"] == "pass"
    assert "Example Proxy" in diagnosis["tls"]["message"]
    assert asked == [f"localhost:{port}"] * 2  # the handshake, then the login
    assert diagnosis.failed == ["login"]


def test_of_two_hosts_the_one_that_is_away_is_named(check, credentials, closed_port):
    env = {**credentials, "GENESYS_LOGIN_URL": f"http://127.0.0.1:{closed_port}"}
    diagnosis = check(env=env)
    assert diagnosis.failed == ["connection"]
    assert diagnosis["connection"]["message"].startswith(
        f"127.0.0.1:{closed_port}: the login host accepts no connection"
    )
    assert "login_url" in diagnosis["connection"]["fix"]
    assert [item["status"] for item in diagnosis["connection"]["items"]] == ["pass", "fail"]


@pytest.mark.parametrize(("skew", "direction"), [(300, "behind"), (-300, "ahead of")])
def test_a_skewed_clock_is_measured_against_the_date_header(check, credentials, simulator, skew, direction):
    simulator.set_faults(clock_skew=float(skew))
    diagnosis = check(env=credentials)
    assert diagnosis.code == 0
    assert diagnosis["clock"]["status"] == "warn"
    assert f"s {direction} the API's" in diagnosis["clock"]["message"]
    assert abs(diagnosis["clock"]["evidence"]["skew_seconds"] + skew) < 3


def test_a_clock_three_seconds_off_passes(check, credentials, simulator):
    simulator.set_faults(clock_skew=3.0)
    assert check(env=credentials)["clock"]["status"] == "pass"


def test_an_unknown_queue_id_is_looked_up_and_named(check, credentials, simulator):
    config = f'[queues]\nids = ["{simulator.queue_ids[0]}", "{UNKNOWN}"]\n'
    diagnosis = check(env=credentials, config=config)
    assert diagnosis.code == 1
    assert diagnosis.failed == ["queues"]
    assert UNKNOWN in diagnosis["queues"]["message"]
    assert "unknown id" in diagnosis["queues"]["message"]
    assert diagnosis["queues"]["evidence"]["answered"] == 1


def test_an_id_answered_400_is_named_by_id_and_name_and_costs_no_other_id(check, credentials, simulator):
    bad = simulator.queues[3]
    simulator.set_faults(bad_ids=(bad.id,))
    diagnosis = check(env=credentials)
    assert diagnosis.code == 1
    assert f"{bad.id} {bad.name}: the API answers it with 400" in diagnosis["queues"]["message"]
    assert (
        diagnosis["queues"]["evidence"].items()
        >= {"answered": 44, "status": 400, "queue_name": bad.name}.items()
    )


def test_a_division_that_observations_leave_out_whole_is_one_that_the_role_lacks(
    check, credentials, simulator
):
    division = simulator.queues[2].division_name
    hidden = [queue for queue in simulator.queues if queue.division_name == division]
    simulator.set_faults(missing_queues=tuple(queue.id for queue in hidden))
    diagnosis = check(env=credentials)
    assert diagnosis.code == 1
    items = diagnosis["queues"]["items"]
    assert {item["subject"] for item in items} == {f"{queue.id} {queue.name}" for queue in hidden}
    assert all(f"a division that the analytics role lacks ({division})" in item["message"] for item in items)


def test_one_queue_left_out_of_an_answered_division_is_not_blamed_on_the_role(check, credentials, simulator):
    hidden = next(
        q for q in simulator.queues if [o.division_id for o in simulator.queues].count(q.division_id) > 1
    )
    simulator.set_faults(missing_queues=(hidden.id,))
    diagnosis = check(env=credentials)
    assert diagnosis.code == 0
    assert diagnosis["queues"]["status"] == "warn"
    assert "other queues of its division" in diagnosis["queues"]["message"]


def test_a_queue_without_numbers_is_a_warning(check, credentials, simulator):
    empty = simulator.queues[2]
    simulator.set_faults(queues_without_data=(empty.id,))
    diagnosis = check(env=credentials)
    assert diagnosis.code == 0
    assert diagnosis["queues"]["status"] == "warn"
    assert f"{empty.name}: the API knows it and has no numbers" in diagnosis["queues"]["message"]


def test_many_unknown_ids_cost_ten_lookups_at_most(check, credentials, simulator):
    ids = ", ".join(f'"8d2f5c7e-0000-4000-8000-{number:012x}"' for number in range(25))
    diagnosis = check(env=credentials, config=f"[queues]\nids = [{ids}]\n")
    assert len(diagnosis["queues"]["items"]) == 25
    assert len([r for r in simulator.requests if r.path.startswith("/api/v2/routing/queues/")]) == 10


def test_a_glob_and_a_division_that_match_nothing_are_named_with_the_nearest(check, credentials, simulator):
    division = simulator.queues[0].division_name
    config = f'[queues]\nnames = ["*", "No Such Team*"]\ndivisions = ["{division}", "Polsk"]\n'
    diagnosis = check(env=credentials, config=config)
    messages = [item["message"] for item in diagnosis["selection"]["items"]]
    assert diagnosis["selection"]["status"] == "warn"
    assert any("'No Such Team*' matches no queue" in message for message in messages)
    assert (
        diagnosis["selection"]["items"][1]["fix"]
        == "did you mean 'Polska'? Yours lacks the 'a' at character 6"
    )


def test_a_selection_of_nothing_fails(check, credentials):
    diagnosis = check(env=credentials, config='[queues]\nnames = ["zzz*"]\n')
    assert diagnosis.code == 1
    assert "no queue is selected out of 45" in diagnosis["selection"]["message"]


@pytest.mark.parametrize("limit", ["configured", "stated by the API"])
def test_a_budget_too_small_is_a_sum_with_the_settings_that_fit(check, credentials, simulator, limit):
    allowed = 20 if limit == "configured" else 300
    if limit != "configured":
        simulator.set_faults(rate_limit=20)
    config = f"[poll]\nbatch_size = 5\nrequests_per_minute = {allowed}\n"
    diagnosis = check(env=credentials, config=config)
    evidence = diagnosis["budget"]["evidence"]
    assert diagnosis.code == 1
    assert diagnosis.failed == ["budget"]
    assert evidence["requests_per_minute_needed"] == 36  # 45 queues in 9 batches, 4 times a minute
    assert evidence["requests_per_minute_allowed"] == 20
    assert evidence["requests_per_month"] == 9 * 4 * 60 * 24 * 30
    for size, interval in ((evidence["fitting_batch_size"], 15), (5, evidence["fitting_interval"])):
        assert -(-45 // size) * 60 / interval <= 20 * 0.8
    assert f"poll.batch_size to {evidence['fitting_batch_size']}" in diagnosis["budget"]["fix"]


def test_429_is_told_with_its_wait_and_ends_the_requests(check, credentials, simulator):
    simulator.set_faults(status={429: 1.0}, status_retry_after=42.0)
    diagnosis = check(env=credentials)
    assert diagnosis.code == 75
    assert diagnosis.failed == [LISTING]
    assert diagnosis[LISTING]["evidence"].items() >= {"status": 429, "retry_after_seconds": 42.0}.items()
    assert diagnosis[LISTING]["fix"].startswith("wait 42 s")
    assert [(r.path, r.status) for r in simulator.requests] == [
        ("/oauth/token", 200),
        ("/api/v2/routing/queues", 429),
    ]


def test_429_in_the_query_is_told_and_not_waited_out(check, credentials, simulator):
    simulator.set_faults(status={429: 1.0}, status_retry_after=3.0, only=("analytics",))
    diagnosis = check(env=credentials)
    assert diagnosis.failed == [OBSERVING]
    assert diagnosis[OBSERVING]["fix"].startswith("wait 3 s")
    assert diagnosis["queues"]["status"] == "skipped"
    assert [r.status for r in simulator.requests].count(429) == 1


def test_429_at_the_login_is_told_with_its_wait(check, credentials, simulator):
    simulator.set_faults(login_status={429: 1.0}, login_retry_after=17.0)
    diagnosis = check(env=credentials)
    assert diagnosis.code == 75
    assert diagnosis["login"]["fix"].startswith("wait 17 s")
    assert len(simulator.requests) == 1


@pytest.mark.parametrize(("faults", "name"), [({"login_html": 1.0}, "login"), ({"html": 1.0}, LISTING)])
def test_a_gateway_that_answers_html_is_not_taken_for_the_api(check, credentials, simulator, faults, name):
    simulator.set_faults(**faults)
    diagnosis = check(env=credentials)
    assert diagnosis.code == 75
    assert diagnosis.failed == [name]
    assert "gateway" in diagnosis[name]["fix"] or "proxy" in diagnosis[name]["fix"]


def test_an_outage_of_the_api_is_75_with_its_status(check, credentials, simulator):
    simulator.set_faults(status={503: 1.0})
    diagnosis = check(env=credentials)
    assert diagnosis.code == 75
    assert diagnosis[LISTING]["evidence"]["status"] == 503


def test_a_host_that_never_answers_is_named_within_its_timeout(check, credentials):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = {**credentials, "GENESYS_API_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        diagnosis = check(env=env, config="[genesys]\ntimeout = 0.4\n")
    assert diagnosis.code == 75
    assert diagnosis["login"]["message"].endswith("no answer within 0.4 s")


def test_an_output_path_that_is_a_directory_is_named(check, credentials, tmp_path):
    diagnosis = check(env=credentials, config=f'[output]\npath = "{tmp_path}"\n')
    assert diagnosis.code == 78
    assert diagnosis.failed == ["config"]
    assert f"output.path {tmp_path} is a directory" in diagnosis["config"]["message"]


def test_the_tutorials_endpoint_is_checked_with_its_own_permission(check, credentials):
    diagnosis = check(env=credentials, config='[genesys]\nendpoint = "details"\n')
    assert diagnosis.code == 0
    assert diagnosis["permission statistics:queue:read"]["status"] == "pass"


def _names(diagnosis) -> list[str]:
    return [check["name"] for check in diagnosis.document["checks"]]


def test_the_order_is_the_same_whatever_fails(check, credentials, simulator, closed_port):
    sound = _names(check(env=credentials))
    assert _names(check(env={**credentials, "GENESYS_API_URL": f"http://127.0.0.1:{closed_port}"})) == sound
    assert _names(check(env={**credentials, "GENESYS_CLIENT_SECRET": "another"})) == sound
    assert _names(check(env={**credentials, "GENESYS_REGION": "nowhere"})) == sound
    for faults in (
        {"denied_permissions": ("routing:queue:view",)},
        {"denied_permissions": ("analytics:queueObservation:view",)},
        {"status": {503: 1.0}},
        {"html": 1.0},
    ):
        simulator.set_faults(**faults)
        assert _names(check(env=credentials)) == sound
        simulator.reset()


def test_what_a_pause_left_over_is_not_asked_and_no_problem(check, credentials, simulator):
    simulator.set_faults(rate_limit=20)
    diagnosis = check(env=credentials, config="[poll]\nbatch_size = 1\n")
    queues = diagnosis["queues"]
    assert queues["status"] == "warn"
    assert "problem" not in queues["message"]
    left = queues["evidence"]["not_asked"]
    assert 0 < left < 45
    assert f"{45 - left} of 45 ids are answered; {left} were not asked" in queues["message"]


def test_patience_grows_with_the_queues_and_the_time_that_an_answer_takes(check, credentials, simulator):
    """45 requests of 0.6 s, two at once, take longer than the ten seconds that were once allowed for all."""
    simulator.set_faults(latency=0.6)
    diagnosis = check(env=credentials, config="[poll]\nbatch_size = 1\nconcurrency = 2\n")
    assert diagnosis["queues"]["status"] == "pass"
    assert diagnosis["queues"]["evidence"]["answered"] == 45
    assert diagnosis["budget"]["evidence"]["request_seconds"] == pytest.approx(0.6, abs=0.2)
    assert diagnosis["budget"]["status"] == "fail"
    assert "set poll.batch_size to " in diagnosis["budget"]["fix"]


def test_every_source_is_named_with_what_it_sets(check, credentials, tmp_path):
    (tmp_path / ".env").write_text("GENESYS_REGION=eu-west-1\nHTTPS_PROXY=http://127.0.0.1:9\n")
    env = {name: value for name, value in credentials.items() if name != "GENESYS_CLIENT_ID"}
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "genesys_client_id").write_text(credentials["GENESYS_CLIENT_ID"])
    config = "[poll]\ninterval = 30\nbatch_size = 50\n"
    diagnosis = check(env={**env, "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}, config=config)
    sources = {item["subject"]: item["message"] for item in diagnosis["config"]["items"]}
    assert sources[f"{tmp_path}/config.toml"] == "sets poll.batch_size, poll.interval"
    assert sources[f"{tmp_path}/.env"] == "ignored ($CREDENTIALS_DIRECTORY is given)"
    assert sources["the environment"] == "sets GENESYS_CLIENT_SECRET, genesys.api_url"
    assert sources[f"{tmp_path}/credentials/genesys_client_id"] == "sets GENESYS_CLIENT_ID"
    assert diagnosis["config"]["evidence"]["origins"]["poll.interval"] == f"{tmp_path}/config.toml"


def test_the_permission_for_statistics_is_tested_where_they_are_enabled(check, credentials, simulator):
    enabled = "[stats]\nenabled = true\n"
    assert check(env=credentials, config=enabled)[STATS]["status"] == "pass"
    simulator.set_faults(denied_permissions=("analytics:conversationAggregate:view",))
    diagnosis = check(env=credentials, config=enabled)
    assert (diagnosis.code, diagnosis.failed) == (77, [STATS])
    assert "Analytics > Conversation Aggregate > View" in diagnosis[STATS]["fix"]
    assert check(env=credentials, config="").code == 0
