"""Which listings are believed: the pages of routing/queues against what they say of themselves."""

from __future__ import annotations

import json
import math
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys.test_client import REFUSED, Budget, Scripted, answer, client
from queuetick.events import Queue
from queuetick.genesys.client import LISTING_ATTEMPTS, Usage
from queuetick.genesys.errors import (
    ListingContradicted,
    ListingUnfinished,
    RequestRefused,
    Transient,
    Unreachable,
)
from queuetick.genesys.listing import MAX_PAGES
from queuetick.genesys.own_names import media_name
from queuetick.genesys.rate_limit import Deferred
from queuetick.genesys.transport import Response


def pages_of(
    queues: int, *, page_count: bool = True, next_uri: bool = False, most: int = 500, total: bool = False
):
    """An org of `queues` queues that answers each page, as large as asked but never larger than `most`."""

    def serve(options) -> Response:
        assert "/api/v2/routing/queues" == urlsplit(options.url).path
        assert ("GET", None) == (options.method, options.body)
        asked = dict(options.query_params)
        size, page = min(int(asked["pageSize"]), most), int(asked["pageNumber"])
        pages = math.ceil(queues / size)
        listing = {"entities": [{"id": f"Q{n}"} for n in range(queues)][(page - 1) * size : page * size]}
        if total:
            listing["total"] = queues
        if page_count:
            listing["pageCount"] = pages
        if next_uri and page < pages:
            listing["nextUri"] = f"/api/v2/routing/queues?pageNumber={page + 1}"
        return answer(listing)

    return serve


def changed(response: Response, **fields) -> Response:
    """`response` with some of its fields changed."""
    return answer({**json.loads(response.data), **fields})


def asked_pages(transport) -> list[tuple[str, str]]:
    queries = [dict(asked.query_params) for asked in transport.asked]
    return [(str(query["pageSize"]), str(query["pageNumber"])) for query in queries]


@given(total=st.integers(0, 60), most=st.integers(1, 9), way=st.sampled_from(["pageCount", "nextUri"]))
def test_every_queue_is_listed_once_in_lower_case_whatever_size_the_server_caps_pages_to(
    total, most, way
) -> None:
    transport = Scripted(pages_of(total, page_count=way == "pageCount", next_uri=way == "nextUri", most=most))
    found = client(transport).queues()
    assert [f"q{n}" for n in range(total)] == [queue.id for queue in found]
    assert max(1, math.ceil(total / most)) == len(transport.asked)


def test_pages_are_asked_for_in_order_as_far_as_page_count_says_and_each_is_told() -> None:
    transport, heard, usage = Scripted(pages_of(1200)), [], Usage()
    found = client(transport).queues(usage=usage, on_page=lambda page, pages: heard.append((page, pages)))
    assert 1200 == len(found)
    assert [("500", "1"), ("500", "2"), ("500", "3")] == asked_pages(transport)
    assert [(1, 3), (2, 3), (3, 3)] == heard
    assert 3 == usage.requests


def test_a_server_that_refuses_500_a_page_is_asked_for_100() -> None:
    serve = pages_of(150)
    transport = Scripted(
        lambda options: REFUSED if str(dict(options.query_params)["pageSize"]) == "500" else serve(options)
    )
    assert 150 == len(client(transport).queues())
    assert [("500", "1"), ("100", "1"), ("100", "2")] == asked_pages(transport)


def test_a_server_that_refuses_100_too_is_an_error() -> None:
    transport = Scripted([REFUSED, REFUSED])
    with pytest.raises(RequestRefused):
        client(transport).queues()
    assert 2 == len(transport.asked)


def test_a_later_page_that_is_refused_is_an_error_and_not_a_smaller_page() -> None:
    transport = Scripted([answer({"entities": [{"id": "a"}], "pageCount": 3}), REFUSED])
    with pytest.raises(RequestRefused):
        client(transport).queues()


@pytest.mark.parametrize("count", [0, 1, "1", 1.0, None, True, "x", -1])
def test_next_uri_promises_a_page_whatever_page_count_says(count) -> None:
    one = {"entities": [{"id": "a"}], "nextUri": "/x", "pageCount": count}
    transport = Scripted([answer(one), answer({"entities": [{"id": "b"}]})])
    assert 2 == len(client(transport).queues())


def test_a_full_page_promises_another_where_nothing_else_is_said() -> None:
    full = {"entities": [{"id": f"q{n}"} for n in range(100)], "pageSize": 100}
    transport = Scripted([answer(full), answer({"entities": [], "pageSize": 100})])
    assert 100 == len(client(transport).queues())


def test_a_listing_without_an_end_is_given_up() -> None:
    def endless(options) -> Response:
        number = dict(options.query_params)["pageNumber"]
        return answer({"entities": [{"id": f"q{number}"}], "pageCount": 10**9})

    transport = Scripted(endless)
    with pytest.raises(ListingContradicted):
        client(transport).queues()
    assert MAX_PAGES == len(transport.asked)


# A listing against its own total


@pytest.mark.parametrize("count", [0, 1, "3", 3.0, 3, None, "x", -1, 10**6])
@pytest.mark.parametrize("most", [500, 100])
def test_a_total_is_reached_whatever_page_count_says_and_whatever_size_pages_have(count, most) -> None:
    serve = pages_of(1200, most=most, total=True)
    transport = Scripted(lambda options: changed(serve(options), pageCount=count))
    assert 1200 == len(client(transport).queues())


@pytest.mark.parametrize("total", [1200, 1200.0, "1200"])
def test_a_total_is_read_in_each_form_of_a_number(total) -> None:
    serve = pages_of(1200)
    assert 1200 == len(client(Scripted(lambda options: changed(serve(options), total=total))).queues())
    serve = pages_of(1190)
    with pytest.raises(ListingContradicted, match=r"1200 queues, and names 1190"):
        client(Scripted(lambda options: changed(serve(options), total=total))).queues()


@pytest.mark.parametrize("total", [True, -1, 1e300, 1200.5, "many", "", [1200], {}])
def test_a_total_that_is_no_number_of_queues_contradicts_the_listing(total) -> None:
    serve = pages_of(1200)
    with pytest.raises(ListingContradicted, match=r"total that is no number of queues, and names 1200"):
        client(Scripted(lambda options: changed(serve(options), total=total))).queues()


def cut_page(page: dict, number: int) -> dict:
    return {**page, "entities": page["entities"][:490]} if number == 2 else page


def repeated_rows(page: dict, number: int) -> dict:
    return {**page, "entities": [*page["entities"][:-10], *page["entities"][:10]]} if number == 2 else page


def unreadable_rows(page: dict, number: int) -> dict:
    return {**page, "entities": [*page["entities"][:-10], *[{"id": 5}] * 10]} if number == 2 else page


def deleted_between_pages(page: dict, number: int) -> dict:
    """A queue of page 1 is deleted after page 1: the first of page 2 moves up and is seen on neither."""
    return page if number == 1 else {**page, "entities": page["entities"][number == 2 :], "total": 1199}


def the_same_page_again(page: dict, number: int) -> dict:
    return {**page, "entities": [{"id": f"Q{n}"} for n in range(500)]}


def an_early_end(page: dict, number: int) -> dict:
    return {**page, "entities": []} if number == 3 else page


FAULTS = [
    cut_page, repeated_rows, unreadable_rows, deleted_between_pages, the_same_page_again, an_early_end,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_listing_that_disagrees_with_its_total_is_asked_for_again(fault) -> None:
    serve, asked = pages_of(1200, total=True), []

    def faulty_once(options) -> Response:
        asked.append(options)
        page, number = json.loads(serve(options).data), int(dict(options.query_params)["pageNumber"])
        return answer(fault(page, number) if number >= len(asked) else page)

    assert [f"q{n}" for n in range(1200)] == [queue.id for queue in client(Scripted(faulty_once)).queues()]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_listing_that_goes_on_to_disagree_is_an_error_with_the_numbers(fault) -> None:
    serve = pages_of(1200, total=True)

    def faulty(options) -> Response:
        page, number = json.loads(serve(options).data), int(dict(options.query_params)["pageNumber"])
        return answer(fault(page, number))

    transport = Scripted(faulty)
    with pytest.raises(ListingContradicted, match=r"1200|1199"):
        client(transport).queues()
    assert LISTING_ATTEMPTS * 4 >= len(transport.asked)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ({"entities": [], "total": 2}, "there are 2 queues, and names 0"),
        ({"entities": [{"id": "a"}], "pageCount": 5}, "not read to its end: .* 1 of at least 5 pages"),
        ({"entities": [{"id": "a"}], "nextUri": "/more"}, "not read to its end"),
    ],
)
def test_a_listing_in_doubt_or_half_read_when_its_time_is_over_is_an_error_and_no_deferral(
    page, reason
) -> None:
    class OneWalk(Budget):
        def acquire(self, route: str, deadline: float) -> None:
            if self.log:
                raise Deferred(1.0)
            super().acquire(route, deadline)

    with pytest.raises(ListingContradicted, match=reason):
        client(Scripted([answer(page)]), budget=OneWalk()).queues()


@pytest.mark.parametrize(
    ("deadline", "error"), [(99.0, ListingUnfinished), (100.0, ListingUnfinished), (101.0, Unreachable)]
)
def test_a_request_for_a_page_that_the_deadline_ends_is_a_listing_that_needs_more_time(
    deadline, error
) -> None:
    for pages in ([answer({"entities": [{"id": "a"}], "pageCount": 5})], []):
        with pytest.raises(error if pages else Unreachable):
            client(Scripted([*pages, Unreachable("no answer within 0.5 s")])).queues(deadline=deadline)


@pytest.mark.parametrize(
    "listing", [{"entities": []}, {"entities": [{"id": "A"}]}, {"entities": [{"id": 5}]}]
)
def test_a_walk_that_ends_before_its_promise_is_not_believed_without_a_total(listing) -> None:
    pages = [answer({"entities": [{"id": "a"}], "pageCount": 5}), answer({**listing, "pageCount": 5})]
    with pytest.raises(ListingContradicted, match="no total, and names 1 queues"):
        client(Scripted(pages * LISTING_ATTEMPTS)).queues()


@given(
    true=st.integers(0, 40),
    most=st.integers(1, 9),
    total=st.none() | st.integers(0, 45) | st.floats() | st.text(max_size=3),
    count=st.none() | st.integers(-1, 50) | st.floats() | st.text(max_size=3),
    cut=st.integers(0, 12),
)
def test_what_is_believed_has_as_many_queues_as_the_listing_says(true, most, total, count, cut) -> None:
    """Whatever a listing says of itself: an error, or exactly the number of queues that its total names."""
    serve = pages_of(true, most=most)

    def lying(options) -> Response:
        page = {**json.loads(serve(options).data), "pageCount": count}
        if total is not None:
            page["total"] = total
        if int(dict(options.query_params)["pageNumber"]) == cut:
            page["entities"] = page["entities"][1:]
        return answer(page)

    try:
        found = client(Scripted(lying)).queues()
    except ListingContradicted:
        return
    if isinstance(total, int):
        assert total == len(found)
    assert len(found) <= true


@pytest.mark.parametrize(
    "body",
    [{}, {"entities": None}, {"entities": {}}, [], b"<html>", b"{"],
)
def test_an_answer_that_lists_no_queue_is_no_empty_org(body) -> None:
    with pytest.raises(Transient):
        client(Scripted([answer(body)])).queues()


def test_a_queue_has_the_names_that_the_listing_gives_and_none_that_it_does_not() -> None:
    entities = [
        {"id": "ABC", "name": "Support", "division": {"id": "d1", "name": "Home"}},
        {"id": "b", "name": "", "division": {"name": None}},
        {"id": "c", "name": 7, "division": "Home"},
        {"id": "d", "name": "half \ud83d a pair"},
    ]
    expected = [
        Queue("abc", "Support", "Home", "d1"),
        Queue("b"),
        Queue("c"),
        Queue("d", "half \ufffd a pair"),
    ]
    assert expected == client(Scripted([answer({"entities": entities, "pageCount": 1})])).queues()


@pytest.mark.parametrize(
    ("settings", "targets"),
    [
        (
            {
                "call": {"serviceLevel": {"percentage": 0.8, "durationMs": 20000}},
                "webChat": {"serviceLevel": {"durationMs": 1500.0}},
                "email": {"serviceLevel": {"percentage": 0.8}},
                "chat": {},
                "message": None,
                "callback": {"serviceLevel": {"durationMs": True}},
            },
            (("voice", 20.0), (media_name("webChat"), 1.5)),
        ),
        (None, ()),
        ([], ()),
        ({"call": {"serviceLevel": {"durationMs": -1}}, "chat": {"serviceLevel": {"durationMs": 1e300}}}, ()),
    ],
)
def test_a_queue_has_the_service_level_targets_that_the_listing_gives(settings, targets) -> None:
    listed = {"entities": [{"id": "a", "mediaSettings": settings}], "total": 1}
    [queue] = client(Scripted([answer(listed)])).queues()
    assert targets == queue.wait_targets
