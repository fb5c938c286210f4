"""Change the body of a good answer: each answer fault that does not concern the connection."""

import json
import random
import re
from collections.abc import Callable
from itertools import cycle

from queuetick.simulator.api_errors import Answer
from queuetick.simulator.faults import Faults

HTML = b"""<!DOCTYPE html>
<html><head><title>Sign in to the network</title></head>
<body><h1>Welcome</h1><p>Please accept the terms of use to continue.</p></body></html>
"""
_NUMBERS = re.compile(rb'("(?:count|waiting|agentsAvailable|total|pageCount)": ?)(\d+)')
_WRONG = (b'"%s"', b"null", b"[%s]", b"true", b'{"value":%s}', b"-%s.5")
_LISTS = ("results", "groups", "entities")


def _html(answer: Answer, _faults: Faults, _rng: random.Random) -> Answer:
    return Answer(200, HTML, answer.headers, "text/html")


def _wrong_content_type(answer: Answer, _faults: Faults, _rng: random.Random) -> Answer:
    return Answer(answer.status, answer.body, answer.headers, "text/plain")


def _garbage(answer: Answer, _faults: Faults, rng: random.Random) -> Answer:
    cut = answer.body[: len(answer.body) * 2 // 3]
    body = rng.choice([cut, b"", b"undefined", b"\xff\xfe\x00{", b'{"results": [}', b"{'results': []}"])
    return Answer(answer.status, body, answer.headers)


def _nan(answer: Answer, _faults: Faults, _rng: random.Random) -> Answer:
    values = cycle((b"NaN", b"Infinity", b"-Infinity"))
    return Answer(
        answer.status, _NUMBERS.sub(lambda found: found[1] + next(values), answer.body), answer.headers
    )


def _wrong_types(answer: Answer, _faults: Faults, _rng: random.Random) -> Answer:
    forms = cycle(_WRONG)

    def wrong(found: re.Match[bytes]) -> bytes:
        form = next(forms)
        return found[1] + (form % found[2] if b"%s" in form else form)

    return Answer(answer.status, _NUMBERS.sub(wrong, answer.body), answer.headers)


def _no_results(answer: Answer, _faults: Faults, rng: random.Random) -> Answer:
    body = rng.choice([b"{}", b'{"results":null,"entities":null,"groups":null}', b"null", b"[]"])
    return Answer(answer.status, body, answer.headers)


def _duplicate_groups(answer: Answer, _faults: Faults, _rng: random.Random) -> Answer:
    body = json.loads(answer.body)
    for name in _LISTS:
        if name in body:
            body[name] *= 2
    return Answer(answer.status, json.dumps(body).encode(), answer.headers)


def _shuffle(answer: Answer, _faults: Faults, rng: random.Random) -> Answer:
    body = json.loads(answer.body)
    for name in _LISTS:
        for group in body.get(name, ()):
            rng.shuffle(group.get("data", []))
        rng.shuffle(body.get(name, []))
    return Answer(answer.status, json.dumps(dict(reversed(body.items()))).encode(), answer.headers)


def _huge_body(answer: Answer, faults: Faults, _rng: random.Random) -> Answer:
    before, after = b'{"padding":"', b'",' + answer.body[1:]
    padding = b"x" * max(0, int(faults.huge_body_bytes) - len(before) - len(after))
    return Answer(answer.status, before + padding + after, answer.headers)


_ANY_ANSWER = {"html": _html, "garbage": _garbage, "wrong_content_type": _wrong_content_type}
_GOOD_ANSWER: dict[str, Callable[[Answer, Faults, random.Random], Answer]] = {
    "nan": _nan,
    "wrong_types": _wrong_types,
    "no_results": _no_results,
    "duplicate_groups": _duplicate_groups,
    "shuffle": _shuffle,
    "huge_body": _huge_body,
}


def spoil(answer: Answer, fault: str, faults: Faults, rng: random.Random) -> Answer | None:
    """Return the answer with the fault in it; None where the fault does not apply to such an answer."""
    if fault in _ANY_ANSWER:
        return _ANY_ANSWER[fault](answer, faults, rng)
    if fault in _GOOD_ANSWER and answer.status == 200:
        return _GOOD_ANSWER[fault](answer, faults, rng)
    return None


def login_without_token(answer: Answer) -> Answer:
    if answer.status != 200:
        return answer
    body = json.loads(answer.body)
    del body["access_token"]
    return Answer(200, json.dumps(body).encode(), answer.headers)
