"""Facts made by hypothesis from the types themselves, so that a new field is tested without a word."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import UNSET, inspect
from msgspec.structs import astuple

from queuetick.events import EVENTS, Fact

PRINTED = st.characters(exclude_categories=("Cs",))
SHORT = st.text(PRINTED, max_size=12)
LONG = st.builds(lambda text, times: text * times, SHORT, st.sampled_from([1, 1, 1, 3, 60, 500]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | SHORT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SHORT, inner, max_size=4),
    max_leaves=12,
)
IDS = st.integers(0, 400).map(lambda many: [f"e8963ace-0000-4000-8000-{at:012d}" for at in range(many)])


def of_type(  # noqa: PLR0912 - one case a kind
    info: inspect.Type, *, text: st.SearchStrategy[str]
) -> st.SearchStrategy[Any]:
    match info:
        case inspect.Metadata(type=inner):
            return of_type(inner, text=text)
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType():
            return st.integers(0, 2**53)
        case inspect.FloatType():
            return st.floats(0, 1e12)
        case inspect.StrType():
            return text
        case inspect.NoneType():
            return st.none()
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.UnionType(types=types):
            return st.one_of([of_type(one, text=text) for one in types])
        case inspect.ListType(item_type=inspect.StrType()):
            return IDS
        case inspect.ListType(item_type=item):
            told_apart = st.builds("{:x} {}".format, st.integers(0, 2**32), text)
            return st.lists(
                of_type(item, text=told_apart), max_size=40, unique_by=lambda one: astuple(one)[0]
            )
        case inspect.DictType(value_type=inspect.AnyType()):
            return st.dictionaries(SHORT, JSON | IDS, max_size=5)
        case inspect.DictType(value_type=value):
            return st.dictionaries(SHORT, of_type(value, text=text), max_size=30)
        case inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: of_field(field, text=text) for field in fields})
    raise NotImplementedError(info)


def of_field(field: inspect.Field, *, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    if field.name in ("part", "parts", "media_omitted"):  # the emitter's own
        return st.just(UNSET)
    values = of_type(field.type, text=text)
    return st.one_of(st.just(UNSET), values) if field.default is UNSET else values


def facts(*events: type[Fact], text: st.SearchStrategy[str] = LONG) -> st.SearchStrategy[Fact]:
    return st.one_of([of_type(msgspec.inspect.type_info(event), text=text) for event in events or EVENTS])
