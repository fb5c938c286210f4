"""Change the body of a good answer: each answer fault that does not concern the connection."""

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle

from queuetick.simulator.api_errors import JSON, Answer
from queuetick.simulator.faults import Faults

HTML = b"""<!DOCTYPE html>
<html><head><title>Sign in to the network</title></head>
<body><h1>Welcome</h1><p>Please accept the terms of use to continue.</p></body></html>
"""
_NUMBERS = re.compile(rb'("(?:count|waiting|agentsAvailable|total|pageCount)": ?)(\d+)')
_WRONG = (b'"%s"', b"null", b"[%s]", b"true", b'{"value":%s}', b"-%s.5")
_LISTS = ("results", "groups", "entities")


Spoil = Callable[[bytes, Faults, random.Random], bytes]
"""Makes another body of a good one."""


def _garbage(body: bytes, _faults: Faults, rng: random.Random) -> bytes:
    cut = body[: len(body) * 2 // 3]
    return rng.choice([cut, b"", b"undefined", b"\xff\xfe\x00{", b'{"results": [}', b"{'results': []}"])


def _nan(body: bytes, _faults: Faults, _rng: random.Random) -> bytes:
    values = cycle((b"NaN", b"Infinity", b"-Infinity"))
    return _NUMBERS.sub(lambda found: found[1] + next(values), body)


def _wrong_types(body: bytes, _faults: Faults, _rng: random.Random) -> bytes:
    forms = cycle(_WRONG)
    return _NUMBERS.sub(lambda found: found[1] + next(forms).replace(b"%s", found[2]), body)


def _no_results(_body: bytes, _faults: Faults, rng: random.Random) -> bytes:
    return rng.choice([b"{}", b'{"results":null,"entities":null,"groups":null}', b"null", b"[]"])


def _duplicate_groups(body: bytes, _faults: Faults, _rng: random.Random) -> bytes:
    document = json.loads(body)
    for name in _LISTS:
        if name in document:
            document[name] *= 2
    return json.dumps(document).encode()


def _shuffle(body: bytes, _faults: Faults, rng: random.Random) -> bytes:
    document = json.loads(body)
    for name in _LISTS:
        for group in document.get(name, ()):
            rng.shuffle(group.get("data", []))
        rng.shuffle(document.get(name, []))
    return json.dumps(dict(reversed(document.items()))).encode()


def _huge_body(body: bytes, faults: Faults, _rng: random.Random) -> bytes:
    before, after = b'{"padding":"', b'",' + body[1:]
    return before + b"x" * max(0, faults.huge_body_bytes - len(before) - len(after)) + after


_GOOD_ANSWER: dict[str, Spoil] = {
    "nan": _nan,
    "wrong_types": _wrong_types,
    "no_results": _no_results,
    "duplicate_groups": _duplicate_groups,
    "shuffle": _shuffle,
    "huge_body": _huge_body,
}


def spoil(answer: Answer, fault: str, faults: Faults, rng: random.Random) -> Answer | None:
    """Return the answer with the fault in it; None where the fault does not apply to such an answer."""
    match fault:
        case "html":
            return Answer(200, HTML, answer.headers, "text/html")
        case "garbage":
            return replace(answer, body=_garbage(answer.body, faults, rng), content_type=JSON)
        case "wrong_content_type":
            return replace(answer, content_type="text/plain")
    if fault in _GOOD_ANSWER and answer.status == 200:
        return replace(answer, body=_GOOD_ANSWER[fault](answer.body, faults, rng))
    return None


def login_without_token(answer: Answer) -> Answer:
    if answer.status != 200:
        return answer
    body = json.loads(answer.body)
    del body["access_token"]
    return Answer(200, json.dumps(body).encode(), answer.headers)
