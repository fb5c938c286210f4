"""Answers that lie: each shape has one outcome for its queues, none crashes a cycle.

Bodies go through the poller without a wire; what only a wire can do comes from a raw socket.
"""

from __future__ import annotations

import gzip
import json
import random
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuetick.clock import Clock
from queuetick.events import Batch, CycleReport, Queue
from queuetick.genesys.answers import read_details, read_observations
from queuetick.genesys.errors import Transient
from queuetick.genesys.org import Org
from queuetick.genesys.queries import ENDPOINTS
from queuetick.lines import Emitter
from queuetick.polling.cycle import Cycle
from queuetick.polling.memory import Memory
from queuetick.polling.plan import Plan
from support.account import breaches
from support.raw import RawServer, http, observations, say
from support.virtual import EPOCH, MemoryOutput, configuration

A, B = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
TICK = "2026-11-24T04:00:15.000Z"
GOOD = observations(A, B)


class Asked:
    """What one cycle of one batch, queues A and B, came to."""

    def __init__(self, report: CycleReport, output: MemoryOutput) -> None:
        self.report = report
        self.lines = [json.loads(line) for line in output.lines]
        self.snapshots = {line["queue_id"]: line for line in self.lines if line["event"] == "queue.snapshot"}
        self.failed = [line for line in self.lines if line["event"] == "batch.failed"]

    @property
    def sums(self) -> tuple[int, int, int]:
        return self.report.snapshots, self.report.missing, self.report.failed


def ask(url: str, *, timeout: float = 5.0, deadline: float = 10.0, endpoint: str = "observations") -> Asked:
    """Run one cycle against `url` on real sockets."""
    output = MemoryOutput()
    emitter = Emitter(output, now=time.time)
    config = configuration(genesys_api_url=url, genesys_timeout=timeout, genesys_endpoint=endpoint)
    clock = Clock(wait=lambda _: False)
    org = Org(
        config, clock=clock, emit=emitter.emit, redact=lambda token: emitter.redact(token, passing=True),
        uniform=lambda low, high: 0.0,
    )  # fmt: skip
    threads = ThreadPoolExecutor(1)
    plan = Plan(1, [Queue(A), Queue(B)], EPOCH + 15, clock.monotonic() + deadline, batch_size=20)
    try:
        report = (
            Cycle(org.client, Memory(), plan, threads=threads, clock=clock, uniform=min, emit=emitter.emit)
            .run()
            .report
        )
    finally:
        threads.shutdown()
        org.close()
    emitter.emit(report)
    assert breaches(output.lines, cycles=1, secrets=("token-of-the-raw-server", "secret-of-client")) == []
    return Asked(report, output)


@pytest.fixture
def asked() -> Iterator[Callable[..., Asked]]:
    """Ask a raw server that speaks as told."""

    def go(*answers, **options) -> Asked:
        with RawServer(*answers) as server:
            result = ask(server.url, **options)
            result.requests = len(server.requests)
            result.connections = server.connections
            return result

    yield go


# On the wire


def test_a_good_answer_is_read(asked):
    result = asked(say(http(GOOD)))
    assert result.sums == (2, 0, 0)
    assert result.snapshots[A]["waiting"] == 4
    assert result.snapshots[A]["agents_available"] == 2


NO_ANSWER = {
    "HTML with 200": http(b"<!DOCTYPE html><h1>Sign in</h1>"),
    "an empty body": http(b""),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "half a body": http(GOOD[: len(GOOD) // 2], length=len(GOOD)),
    "half a body without a length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + GOOD[: len(GOOD) // 2],
    "JSON null": http(b"null"),
    "a JSON list": http(b"[]"),
    "results a number": http(b'{"results":7}'),
    "results a table": http(b'{"results":{"a":1}}'),
    "not UTF-8": http(b'{"results":[\xff\xfe]}'),
    "UTF-16": http(GOOD.decode().encode("utf-16"))[:-1],
    "nested too deep": http(b'{"results":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "nested too deep beside the results": http(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b',"results":[]}'),
    "a number of 5000 digits": http(b'{"results":[{"data":[{"stats":{"count":' + b"9" * 5000 + b"}}]}]}"),
    "gzip that is none": http(b"not gzip at all", "Content-Encoding: gzip"),
    "gzip cut short": http(gzip.compress(GOOD)[:-20], "Content-Encoding: gzip"),
    "chunks cut short": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"res\r\n",
    "a chunk of negative size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" * 9,
    "a chunk of nonsense": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "no status line": b"hello\r\n\r\n",
    "nothing at all": b"",
    "a status of words": b"HTTP/1.1 OK fine\r\n\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    "a thousand headers": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 1000 + b"\r\n",
    "a length of words": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\nConnection: close\r\n\r\n{",
    "500": http(b"oops", status="500 Internal Server Error"),
    "503 with an endless envelope": http(b'{"message":' + b"[" * 200_000, status="503 Service Unavailable"),
}  # fmt: skip


@pytest.mark.parametrize("shape", NO_ANSWER)
def test_what_is_no_answer_is_asked_for_again_and_then_fails_its_queues_by_name(shape, asked):
    result = asked(say(NO_ANSWER[shape]))
    assert result.sums == (0, 0, 2), shape
    assert result.report.requests == 3, "two more for its one batch, while nothing is answered"
    [failed] = result.failed
    assert failed["queue_ids"] == [A, B]
    assert failed["attempts"] == 3
    assert failed["reason"]


@pytest.mark.parametrize("shape", NO_ANSWER)
def test_and_a_good_answer_to_the_second_try_makes_the_cycle_whole(shape, asked):
    result = asked(say(NO_ANSWER[shape]), say(http(GOOD)))
    assert result.sums == (2, 0, 0), shape
    # The server closes after each answer; a second try may meet that, and costs one more.
    assert result.report.retries in (1, 2)


def chunked(body: bytes) -> bytes:
    parts = [body[at : at + 7] for at in range(0, len(body), 7)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


GOOD_IN_OTHER_CLOTHES = {
    "chunked": chunked(GOOD),
    "gzip": http(gzip.compress(GOOD), "Content-Encoding: gzip"),
    "deflate": http(zlib.compress(GOOD), "Content-Encoding: deflate"),
    "no length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + GOOD,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + GOOD,
    "text/plain": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(GOOD), GOOD),
    "201": http(GOOD, status="201 Created"),
    "100 first": b"HTTP/1.1 100 Continue\r\n\r\n" + http(GOOD),
    "spaces around": http(b"  \r\n" + GOOD + b"\r\n "),
}  # fmt: skip


@pytest.mark.parametrize("shape", GOOD_IN_OTHER_CLOTHES)
def test_a_good_answer_in_other_clothes_is_read(shape, asked):
    assert asked(say(GOOD_IN_OTHER_CLOTHES[shape])).sums == (2, 0, 0)


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
def test_a_redirect_is_not_followed_with_the_token_and_not_tried_again(status, asked):
    result = asked(say(http(b"", "Location: http://127.0.0.1:9/elsewhere", status=status)))
    assert result.sums == (0, 0, 2)
    assert result.report.requests == 1
    assert "redirected" in result.failed[0]["reason"]


@pytest.mark.parametrize("status", ["410 Gone", "405 Method Not Allowed", "418 I'm a teapot"])
def test_an_answer_that_trying_again_will_not_change_is_not_asked_for_again(status, asked):
    result = asked(say(http(b"", status=status)))
    assert result.sums == (0, 0, 2)
    assert result.report.requests == 1


def test_a_connection_closed_between_two_requests_costs_a_retry_and_no_queue(asked):
    def close_after(connection):
        connection.sendall(http(GOOD))
        return False

    def reset(connection):
        return False

    result = asked(reset, close_after)
    assert result.sums == (2, 0, 0)


def test_a_huge_body_is_not_read_to_its_end(asked):
    sent = []

    def pour(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 400000000\r\n\r\n")
        for _ in range(400):
            connection.sendall(b" " * 1_000_000)
            sent.append(1)

    result = asked(pour, say(http(GOOD)))
    assert result.sums == (2, 0, 0)
    assert len(sent) < 60


def test_a_gzip_bomb_is_not_unpacked_to_its_end(asked):
    bomb = gzip.compress(b" " * 200_000_000, 9)
    result = asked(say(http(bomb, "Content-Encoding: gzip")), say(http(GOOD)))
    assert result.sums == (2, 0, 0)


def test_a_byte_now_and_then_is_cut_off_at_the_timeout(asked):
    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.1)

    began = time.monotonic()
    result = asked(drip, timeout=0.5, deadline=0.9)
    assert result.sums == (0, 0, 2)
    assert "no answer within" in result.failed[0]["reason"]
    assert time.monotonic() - began < 6


def test_dripped_headers_are_cut_off_too(asked):
    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-A: b\r\n")
            time.sleep(0.2)

    assert asked(drip, timeout=0.5, deadline=0.9).sums == (0, 0, 2)


# In the body


def read(body: bytes | dict, endpoint: str = "observations"):
    """Snapshots by queue, and the ids that are missing."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    batch = Batch(1, (Queue(A), Queue(B)))
    answer = ENDPOINTS[endpoint].read(data, batch, cycle=1, scheduled_at=TICK, arrived=EPOCH)
    return {snapshot.queue_id: snapshot for snapshot in answer.snapshots}, [
        queue.id for queue, _ in answer.missing
    ]


_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from([A, B, "oWaiting", "oOnQueueUsers", "IDLE", "voice", 10**400, 1e308, "\ud800"])
)  # fmt: skip
_KEYS = st.sampled_from(
    ["results", "group", "queueId", "mediaType", "data", "metric", "qualifier", "stats", "count",
     "calculatedMetricValue", "groups", "entity", "entities", "id", "metrics", "waiting", "agentsAvailable", "?"]
)  # fmt: skip
_ANYTHING = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=80, deadline=None)
@given(
    results=st.lists(
        st.fixed_dictionaries(
            {
                "group": _ANYTHING | st.fixed_dictionaries({"queueId": st.just(A), "mediaType": _LEAVES}),
                "data": _ANYTHING
                | st.lists(
                    st.fixed_dictionaries(
                        {
                            "metric": st.sampled_from(["oWaiting", "oLongestWaiting", "oOnQueueUsers"]) | _LEAVES,
                            "qualifier": _LEAVES,
                            "stats": _ANYTHING
                            | st.fixed_dictionaries({"count": _LEAVES, "calculatedMetricValue": _LEAVES}),
                        }
                    ),
                    max_size=4,
                ),
            }
        ),
        max_size=4,
    ),
    outer=_ANYTHING,
    endpoint=st.sampled_from(["observations", "details"]),
)  # fmt: skip
def test_any_json_at_all_is_an_answer_or_transient_and_its_snapshots_fit_a_line(results, outer, endpoint):
    for body in ({"results": results}, outer, {"results": outer}, {"groups": outer}):
        try:
            found, missing = read(json.dumps(body).encode("utf-8", "surrogatepass"), endpoint)
        except Transient:
            continue
        assert sorted([*found, *missing]) == [A, B]
        output = MemoryOutput()
        Emitter(output, now=lambda: EPOCH).emit(*found.values())
        events = [json.loads(line)["event"] for line in output.lines]
        assert events == ["queue.snapshot"] * len(found)
        assert all(len(line) < 4096 for line in output.lines)


@given(data=st.binary(max_size=200))
def test_any_bytes_at_all_are_an_answer_or_transient(data):
    for reader in (read_observations, read_details):
        try:
            reader(data)
        except Transient as error:
            assert error.reason


def test_bytes_of_a_good_answer_with_some_changed_are_an_answer_or_transient():
    chance = random.Random(5)
    for _ in range(3000):
        body = bytearray(GOOD)
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        try:
            found, missing = read(bytes(body))
        except Transient:
            continue
        assert len(found) + len(missing) == 2
