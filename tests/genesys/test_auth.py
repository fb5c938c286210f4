"""The token's life: what auth.py promises, with the login as a function and the clock in hand."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuetick.check.result import exit_for
from queuetick.config import Credentials, Genesys
from queuetick.exit_codes import ExitCode
from queuetick.genesys import auth
from queuetick.genesys.auth import TokenSource, TokenState
from queuetick.genesys.errors import LoginFailed, LoginRefused, RateLimited, Transient, Unreachable
from queuetick.genesys.login import Login, Token
from queuetick.genesys.org import Org
from queuetick.genesys.transport import Response
from queuetick.simulator import Faults
from support.account import breaches
from support.virtual import VirtualTime, World


class Host:
    """A login host: `answer` says what the next login gets; each is remembered with its time."""

    def __init__(self, time: VirtualTime, lifetime: float = 86400.0) -> None:
        self.time = time
        self.lifetime = lifetime
        self.logins: list[float] = []
        self.error: Exception | None = None
        self.takes = 0.0
        self._numbers = itertools.count(1)

    def __call__(self) -> Token:
        self.logins.append(self.time.monotonic())
        self.time.advance(self.takes)
        if self.error is not None:
            raise self.error
        return Token(f"token-{next(self._numbers)}", self.lifetime)


def source(host: Callable[[], Token], time: VirtualTime, facts: list | None = None) -> TokenSource:
    return TokenSource(
        host,
        TokenState(),
        monotonic=time.monotonic,
        emit=(facts if facts is not None else []).append,
        redact=lambda _: None,
        uniform=lambda low, high: high,
        pause=lambda *_: None,
    )


def failed(cause: Exception | None) -> LoginFailed:
    error = LoginFailed("login: failed")
    error.__cause__ = cause
    return error


# Renewal


@settings(deadline=None)
@given(lifetime=st.floats(60.0, 172_800.0))
def test_it_is_renewed_a_tenth_of_its_life_but_at_most_a_minute_ahead_of_its_end(lifetime):
    time = VirtualTime()
    host = Host(time, lifetime)
    subject = source(host, time)
    assert subject.token().value == "token-1"
    ahead = min(60.0, 0.1 * lifetime)
    time.advance(lifetime - ahead - 0.5)
    assert subject.token().value == "token-1"
    time.advance(1.0)
    assert subject.token().value == "token-2"
    assert len(host.logins) == 2


@pytest.mark.parametrize("lifetime", [0.0001, 1.0, 5.0])
def test_an_absurdly_short_life_does_not_make_a_login_of_every_request(lifetime):
    time = VirtualTime()
    host = Host(time, lifetime)
    subject = source(host, time)
    for _ in range(100):
        subject.token()
        time.advance(0.25)
    assert len(host.logins) <= 6


def test_a_renewal_ahead_of_time_that_fails_costs_nothing_while_the_old_token_holds():
    time, facts = VirtualTime(), []
    host = Host(time, 600.0)
    subject = source(host, time, facts)
    subject.accepted(subject.token(), [])
    host.error = failed(Transient("HTTP 503", status=503))
    time.advance(541.0)
    for _ in range(50):
        assert subject.token().value == "token-1"
        time.advance(1.0)
    host.error = None
    time.advance(600.0 - (541.0 + 50.0))
    assert subject.token().value == "token-2"
    assert [fact.reason for fact in facts] == ["start", "expiring"]


def test_while_one_thread_waits_for_a_slow_renewal_the_others_go_on_with_the_token_they_have():
    time = VirtualTime()
    entered, leave = threading.Event(), threading.Event()
    host = Host(time, 600.0)

    def slow() -> Token:
        token = host()
        if len(host.logins) > 1:
            entered.set()
            assert leave.wait(10)
        return token

    subject = source(slow, time)
    subject.token()
    time.advance(550.0)
    renewing = threading.Thread(target=subject.token)
    renewing.start()
    assert entered.wait(10)
    assert subject.token().value == "token-1"
    leave.set()
    renewing.join(10)
    assert subject.token().value == "token-2"


def test_a_late_answer_to_the_old_token_does_not_vouch_for_the_new_one():
    time = VirtualTime()
    host = Host(time)
    subject = source(host, time)
    old = subject.token()
    subject.accepted(old, ["a"])
    assert subject.renew(old, ["a"])
    subject.accepted(old, ["b"])
    assert not subject.renew(subject.token(), ["b"])
    subject.drop()
    with pytest.raises(LoginFailed, match="rejects each new token"):
        subject.token()


def test_a_401_to_one_request_leaves_the_token_to_the_others_also_while_the_login_host_is_away():
    time = VirtualTime()
    host = Host(time)
    subject = source(host, time)
    old = subject.token()
    host.error = failed(Unreachable("connection failed"))
    with pytest.raises(LoginFailed) as away:
        subject.renew(old, ["a"])
    assert away.value.rejected
    assert subject.token() is old
    host.error = None
    time.advance(60.0)
    assert not subject.renew(old, ["a"]), "a login was tried for it before"
    assert not subject.renew(old, ["b"]), "and did not help"
    time.advance(auth.MIN_LOGIN_DISTANCE)
    assert subject.renew(old, ["c"])
    assert subject.token() is not old


def test_what_was_answered_401_may_cost_a_login_again_once_it_was_answered():
    time = VirtualTime()
    host = Host(time)
    subject = source(host, time)
    for number in range(1, 5):
        token = subject.token()
        subject.accepted(token, ["a", "b"])
        assert subject.renew(token, ["a"])
        assert len(host.logins) == number + 1


def test_a_login_that_gives_the_same_token_again_is_a_renewal_all_the_same():
    """As a gateway with a cache does, and the simulator when it comes back with its seed."""
    time = VirtualTime()
    logins = []

    def login() -> Token:
        logins.append(time.monotonic())
        return Token("always the same", 86400.0)

    subject = source(login, time)
    old = subject.token()
    subject.accepted(old, [])
    assert subject.renew(old, ["a"])
    assert subject.renew(old, ["b"])  # another thread, whose request had left before
    assert subject.token().value == "always the same"
    assert len(logins) == 2


# Single flight


@pytest.mark.parametrize("threads", [2, 16])
def test_threads_that_need_a_token_at_once_make_one_login(threads):
    time = VirtualTime()
    gate = threading.Barrier(threads)
    host = Host(time)
    subject = source(host, time)
    got: list[str] = []

    def ask() -> None:
        gate.wait(10)
        got.append(subject.token().value)

    run([threading.Thread(target=ask) for _ in range(threads)])
    assert got == ["token-1"] * threads
    assert len(host.logins) == 1


@pytest.mark.parametrize("threads", [2, 16])
def test_threads_whose_token_is_rejected_at_once_make_one_login(threads):
    time, facts = VirtualTime(), []
    gate = threading.Barrier(threads)
    host = Host(time)
    subject = source(host, time, facts)
    old = subject.token()
    got: list[str] = []

    def reject(about: str) -> None:
        gate.wait(10)
        assert subject.renew(old, [about])
        got.append(subject.token().value)

    run([threading.Thread(target=reject, args=(str(number),)) for number in range(threads)])
    assert got == ["token-2"] * threads
    assert len(host.logins) == 2
    assert [fact.reason for fact in facts] == ["start", "rejected"]


def run(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


# Failing logins


@pytest.mark.parametrize(
    ("error", "slowest"),
    [
        (failed(Unreachable("connection failed")), auth.MAX_UNREACHABLE_DISTANCE),
        (failed(Transient("HTTP 503", status=503)), auth.MAX_FAULTY_DISTANCE),
        (failed(None), auth.MAX_FAULTY_DISTANCE),
        (LoginRefused("wrong secret", status=401), auth.MAX_LOGIN_DISTANCE),
    ],
)
def test_failing_logins_are_at_least_5_s_apart_and_slow_down(error, slowest):
    time = VirtualTime()
    host = Host(time)
    host.error = error
    subject = source(host, time)
    for _ in range(4000):
        with pytest.raises(LoginFailed):
            subject.token()
        time.advance(0.5)
    gaps = [later - earlier for earlier, later in itertools.pairwise(host.logins)]
    assert gaps[0] == 5.0
    assert min(gaps) >= 5.0
    assert gaps == sorted(gaps)
    assert slowest <= max(gaps) <= slowest + 0.5


def test_the_kind_of_the_failure_is_kept_while_no_login_is_tried():
    time = VirtualTime()
    host = Host(time)
    host.error = LoginRefused("the client secret is wrong", status=401, code="invalid_client")
    subject = source(host, time)
    for _ in range(3):
        with pytest.raises(LoginRefused) as refused:
            subject.token()
        assert refused.value.code == "invalid_client"
    assert len(host.logins) == 1


def test_its_cause_is_kept_too_so_that_a_page_on_the_way_stays_an_outage():
    time = VirtualTime()
    host = Host(time)
    host.error = LoginFailed("login: a page", status=403)
    host.error.__cause__ = Transient("a page", status=403)
    subject = source(host, time)
    for _ in range(2):
        with pytest.raises(LoginFailed) as failed:
            subject.token()
        assert exit_for(failed.value) is ExitCode.TEMPFAIL


def test_a_login_that_is_answered_429_waits_what_retry_after_says():
    time = VirtualTime()
    host = Host(time)
    limited = RateLimited("too many", status=429)
    limited.retry_after = 100.0
    host.error = failed(limited)
    subject = source(host, time)
    for _ in range(400):
        with pytest.raises(LoginFailed):
            subject.token()
        time.advance(0.5)
    assert [later - earlier for earlier, later in itertools.pairwise(host.logins)] == [100.0]


NOT_GENUINE = (
    b"",
    b"<html><h1>403 Forbidden</h1></html>",
    b"[]",
    b'{"message": "Forbidden"}',
    b'{"error": "forbidden", "description": "blocked"}',
    b'{"error": {"code": "403", "message": "blocked"}}',
    b'{"statusCode": 401, "code": "Unauthorized", "message": "no"}',
    b'{"code": "not.authorized", "status": 500, "message": "of another answer"}',
)
"""Bodies that a proxy, gateway or firewall on the way may answer with."""


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, "OK", {}, b"<html>"),
        Response(200, "OK", {}, b""),
        Response(200, "OK", {}, b"{}"),
        Response(200, "OK", {}, b'{"access_token":5}'),
        Response(200, "OK", {}, b'{"access_token":""}'),
        Response(200, "OK", {}, b'{"access_token":"two\\nlines"}'),
        Response(200, "OK", {}, '{"access_token":"gr\u00fcn"}'.encode()),
        Response(200, "OK", {}, b"[" * 100_000),
        Response(204, "No Content", {}, b""),
        Response(302, "Found", {"Location": "https://elsewhere.example"}, b""),
        Response(429, "", {"Retry-After": "7"}, b""),
        Response(500, "", {}, b"{" * 100_000),
        Response(503, "", {}, b""),
        *(Response(status, "", {}, body) for status in (400, 401, 403) for body in NOT_GENUINE),
    ],
)
def test_an_answer_that_is_no_token_is_a_failed_login_not_a_refused_one(answer):
    with pytest.raises(LoginFailed) as failure:
        login(answer)
    assert not isinstance(failure.value, LoginRefused)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_credentials_that_are_refused_say_what_to_check(status):
    with pytest.raises(LoginRefused, match=r"check|enabled") as refused:
        login(Response(status, "", {}, b'{"error":"invalid_client","description":"authentication failed"}'))
    assert "http://127.0.0.1 (region us-east-1, the default)" in refused.value.reason
    assert (status == 403) != ("region of the client's organisation" in refused.value.reason)


def test_an_error_body_of_the_platform_api_refuses_a_login_too():
    with pytest.raises(LoginRefused):
        login(Response(401, "", {}, b'{"message": "no", "code": "ip.not.authorized", "status": 401}'))


@pytest.mark.parametrize(("seconds", "waited"), [("120", 120.0), ("86400", 300.0)])
def test_a_503_of_the_login_host_is_waited_out_as_it_asks_but_not_longer_than_five_minutes(seconds, waited):
    time = VirtualTime()
    host = Host(time)
    host.error = LoginFailed("login: away", status=503)
    host.error.__cause__ = Transient("away", status=503)
    host.error.__cause__.retry_after = float(seconds)
    subject = source(host, time)
    with pytest.raises(LoginFailed):
        subject.token()
    began = len(host.logins)
    time.advance(waited - 1)
    with pytest.raises(LoginFailed):
        subject.token()
    assert len(host.logins) == began
    time.advance(1)
    with pytest.raises(LoginFailed):
        subject.token()
    assert len(host.logins) == began + 1


@pytest.mark.parametrize("status", [200, 201, 203])
def test_a_token_in_any_answer_of_success_is_a_token(status):
    assert login(Response(status, "Fine", {}, b'{"access_token":"abc"}')).value == "abc"


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (300, 300.0), ("3600", 3600.0), (None, 300.0), (0, 300.0), (-5, 300.0), ("soon", 300.0), ([1], 300.0),
        (10**400, 300.0), (1e308, 1e308), (float("inf"), 300.0), (float("nan"), 300.0),
    ],
)  # fmt: skip
def test_a_lifetime_that_makes_no_sense_is_taken_for_the_shortest(said, taken):
    body = json.dumps({"access_token": "abc", "expires_in": said}).encode()
    assert login(Response(200, "OK", {}, body)).expires_in == taken
    beyond = body.replace(b"Infinity", b"1e999")
    assert login(Response(200, "OK", {}, beyond)).expires_in == taken


def login(answer: Response) -> Token:
    class Answering:
        def send(self, options, *, timeout, most):
            return answer

    return Login(
        Answering(),
        login_url="http://127.0.0.1",
        region="region us-east-1, the default",
        credentials=Credentials("id", "secret"),
        timeout=1,
        now=lambda: 0.0,
    )()


# In cycles


def logins(world: World) -> list[float]:
    return [left for left, path, _ in world.transport.requests if path == "/oauth/token"]


def test_an_hour_of_tokens_that_live_five_minutes_costs_no_queue_and_no_401():
    world = World(queues=20, faults=Faults(token_lifetime=300.0), queues_refresh=3600)
    world.run(240)
    assert {report.outcome for report in world.reports} == {"ok"}
    assert {status for _, _, status in world.transport.requests} == {200}
    assert len(logins(world)) == pytest.approx(240 * 15 / 270, abs=2)
    assert {line["reason"] for line in world.events("token.renewed")} == {"start", "expiring"}


def test_a_revoked_token_is_renewed_once_and_the_batch_sent_again_in_the_same_cycle():
    world = World(queues=60, poll_concurrency=1)
    world.run(2)
    world.api.tokens.revoke_all()
    world.run(3)
    report = world.reports[-1]
    assert (report.outcome, report.snapshots, report.retries) == ("ok", 60, 1)
    assert [line["reason"] for line in world.events("token.renewed")] == ["start", "rejected"]


def test_the_very_first_token_is_renewed_too_when_it_is_rejected():
    world = World(queues=20, faults=Faults(script=("401",), only=("query",)), poll_concurrency=1)
    world.run(1)
    assert world.reports[0].outcome == "ok"
    assert len(logins(world)) == 2


def test_a_second_401_fails_the_cycle_and_the_daemon_tries_again_slowly():
    world = World(
        queues=40, poll_batch_size=2, faults=Faults(status={401: 1.0}, only=("query",)), queues_refresh=86_400
    )
    world.run(41)
    sent = logins(world)
    assert {report.outcome for report in world.reports} == {"failed"}
    assert len(sent) <= 14, "ten minutes of 401 are no storm of logins"
    assert all(later - earlier >= 5 for earlier, later in itertools.pairwise(sent[1:]))
    world.api.faults = Faults()
    world.run(70)
    assert world.reports[-1].outcome == "ok"
    assert len(world.events("api.lost")) == len(world.events("api.recovered")) == 1
    assert breaches(world.text, secrets=world.secrets) == []


def test_a_429_of_the_login_host_pauses_the_route_login_and_no_other():
    world = World(queues=40, faults=Faults(token_lifetime=100.0), queues_refresh=86_400)
    world.run(2)
    world.api.faults = Faults(login_status={429: 1.0}, login_retry_after=40.0)
    world.run(12)
    world.api.faults = Faults()
    world.run(16)
    paused = world.events("rate_limit.paused")
    assert {(line["route"], line["source"]) for line in paused} == {("login", "retry-after")}
    assert [line["route"] for line in world.events("rate_limit.resumed")] == ["login"] * len(paused)
    assert world.events("cycle.skipped") == []
    assert world.reports[-1].outcome == "ok"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_login_host_that_is_away_after_the_token_ran_out_fails_cycles_by_name_and_its_return_is_seen(
    status,
):
    world = World(queues=40, faults=Faults(token_lifetime=100.0), queues_refresh=86_400)
    world.run(3)
    world.api.faults = Faults(token_lifetime=100.0, login_status={status: 1.0})
    world.run(23)
    world.api.faults = Faults()
    world.run(29)
    outcomes = [report.outcome for report in world.reports]
    assert outcomes[:6] == ["ok"] * 6, "the token it has still holds"
    assert "failed" in outcomes
    assert outcomes[-1] == "ok"
    assert len(world.events("api.lost")) == len(world.events("api.recovered")) == 1
    assert breaches(world.text, secrets=world.secrets) == []


def test_new_credentials_take_over_between_two_cycles_and_no_cycle_is_lost():
    world = World(queues=40)
    world.run(3)
    world.api.client_secret = "another_secret_of_the_client"
    world.api.tokens.revoke_all()
    pair = msgspec.structs.replace(world.config.credentials, client_secret="another_secret_of_the_client")
    config = msgspec.structs.replace(world.config, credentials=pair)
    org = world.new_org(config, earlier=world.cycles.org)
    org.client.login()
    world.reload(org.config, org)
    world.run(6)
    assert [report.outcome for report in world.reports] == ["ok"] * 6
    assert world.events("cycle.skipped") == []


def test_a_reload_with_unchanged_credentials_needs_no_login_host():
    world = World(queues=40)
    world.run(2)
    world.api.faults = Faults(login_status={503: 1.0})
    poll = msgspec.structs.replace(world.config.poll, batch_size=10)
    org = world.new_org(msgspec.structs.replace(world.config, poll=poll), earlier=world.cycles.org)
    org.client.login()
    world.reload(org.config, org)
    world.run(4)
    assert [report.outcome for report in world.reports] == ["ok"] * 4
    assert [report.batches for report in world.reports] == [2, 2, 4, 4]
    assert len(logins(world)) == 1


@pytest.mark.parametrize(
    ("genesys", "origins", "said"),
    [
        (Genesys(), {}, "https://login.mypurecloud.com (region us-east-1, the default)"),
        (
            Genesys(region="eu-west-1"),
            {"genesys.region": "config.toml"},
            "https://login.mypurecloud.ie (region eu-west-1)",
        ),
        (Genesys(api_url="https://api.gw"), {}, "https://login.gw (from genesys.api_url)"),
        (Genesys(login_url="https://id.example"), {}, "https://id.example (genesys.login_url)"),
    ],
)
def test_a_login_that_fails_names_the_host_that_was_asked_and_how_it_was_chosen(genesys, origins, said):
    class Away:
        def send(self, options, *, timeout, most):
            raise Unreachable("connection failed: Connection refused")

    config = msgspec.structs.replace(World(queues=1).config, genesys=genesys, origins=origins)
    org = Org(
        config, clock=VirtualTime().clock(), emit=lambda *_: None, redact=lambda _: None, transport=Away()
    )
    with pytest.raises(LoginFailed) as failed:
        org.client.login()
    assert failed.value.reason == f"login at {said}: connection failed: Connection refused"
