"""`check --report` shows shapes, and nothing that belongs to the org: no name, id, number or secret."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuetick.check.report import bucket, route, shapes
from queuetick.genesys.transport import Response

QUERY = "https://api.mypurecloud.com/api/v2/analytics/queues/observations/query"


@pytest.fixture
def report(queuetick, credentials, tmp_path):
    def run(config: str = "", **variables: str) -> tuple[str, dict]:
        done = queuetick("check", "--report", env={**credentials, **variables}, config=config)
        assert done.stderr == ""
        return done.stdout, json.loads(done.stdout)

    return run


def test_a_sound_set_up_is_shown_by_the_shapes_of_its_answers(report) -> None:
    _, document = report()
    answers = {answer["request"]: answer for answer in document["answers"]}
    assert set(answers) == {
        "POST /oauth/token",
        "GET /api/v2/routing/queues?pageNumber&pageSize",
        "POST /api/v2/analytics/queues/observations/query",
    } or any("routing/queues" in request for request in answers)
    body = answers["POST /api/v2/analytics/queues/observations/query"]["body"]
    assert body["results[].group.queueId"] == ["uuid"]
    assert "string oWaiting" in body["results[].data[].metric"]
    assert body["results[].data[].stats.count"] == ["integer"]
    assert document["region"] == "us-east-1"
    assert {check["name"]: check["status"] for check in document["checks"]}["queues"] == "pass"


def test_no_name_id_host_or_secret_is_in_it(report, simulator, credentials) -> None:
    simulator.rename_queue(simulator.queue_ids[0], "payments")
    simulator.rename_queue(simulator.queue_ids[1], f"Desk {credentials['GENESYS_CLIENT_SECRET']}")
    text, _ = report(f'[queues]\nnames = ["pay*"]\nids = ["{simulator.queue_ids[3]}"]\n')
    private = [
        *(queue.name for queue in simulator.queues),
        *(queue.division_name for queue in simulator.queues if queue.division_name != "Home"),
        *simulator.queue_ids,
        simulator.client_id,
        simulator.client_secret,
        simulator.url,
        "127.0.0.1",
        "payments",
    ]
    for words in private:
        assert words not in text, words


def test_a_refusal_is_shown_with_its_status_and_code(report, simulator) -> None:
    simulator.set_faults(denied_permissions=("analytics:queueObservation:view",))
    _, document = report()
    refused = next(answer for answer in document["answers"] if answer["status"] == 403)
    assert refused["body"]["code"] == ["string missing.any.permissions"]
    assert refused["body"]["message"] == ["string"]
    check = next(check for check in document["checks"] if check["status"] == "fail")
    assert (check["http"], check["codes"]) == ([403], ["missing.any.permissions"])


def test_a_page_on_the_way_is_told_from_json(report, simulator) -> None:
    simulator.set_faults(html=1.0)
    _, document = report()
    assert any("no JSON: HTML" in answer["body"].get("", []) for answer in document["answers"])


def test_a_set_up_that_cannot_be_read_has_a_report_all_the_same(report) -> None:
    text, document = report("[poll]\nintervall = 3\n", GENESYS_REGION="the-moon")
    assert document["checks"][0]["status"] == "fail"
    assert document["answers"] == []
    assert "moon" not in text


SECRET_WORD = "Xq7-Zw9 ügly"
JSON = st.recursive(
    st.sampled_from([None, True, 1234567, 3.25, SECRET_WORD, f"https://{SECRET_WORD}", "9" * 30]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["results", "metric", "code", "mediaType", "qualifier", SECRET_WORD, "Payments", "sales"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    content=JSON,
    header=st.sampled_from(["Server", "Content-Type", "Retry-After", "X-Corp", "inin-ratelimit-allowed"]),
)
def test_no_answer_of_any_shape_brings_a_value_into_the_report(content, header) -> None:
    answer = Response(200, "OK", {header: SECRET_WORD}, json.dumps(content).encode())
    text = json.dumps(shapes([("POST", QUERY, answer)], ["Sales"]), ensure_ascii=False)
    for words in ("Xq7", "1234567", "3.25", "99999", "Payments", "sales", "X-Corp"):
        assert words not in text


@given(st.text(string.printable, max_size=60))
def test_no_path_brings_an_id_or_a_host_into_the_report(text) -> None:
    shown = route(f"https://secret-host.corp/api/v2/routing/queues/{text}")
    assert "secret-host" not in shown
    assert route("https://h/gw-Acme/api/v2/routing/queues/5f0c0d6e-0000-4000-8000-000000000000?q=Sales") == (
        "/api/v2/routing/queues/{id}?q"
    )


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0"), (1, "1"), (2, "2..9"), (9, "2..9"), (10, "10..99"), (5000, "1000..9999")]
)
def test_counts_are_ranges(count, shown) -> None:
    assert bucket(count) == shown
