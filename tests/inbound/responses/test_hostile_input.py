"""Whatever a caller writes: a request for a response is taken, or refused with an error of the
request. Nothing else comes out, neither of its check, nor of its translation, nor of a dialect."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from native_api.exceptions import InvalidRequest
from native_api.inbound.openai.responses.items import ITEM_SHAPES, PARTS
from native_api.inbound.openai.responses.tool_shapes import TOOL_SHAPES
from native_api.inbound.openai.responses.unify_tools import split_name
from native_api.upstream.prepared_request import prepare
from tests.cases import each
from tests.dialects.request_targets import TARGETS
from tests.inbound.responses.request_reading import CHAT, FORMAT, find_fault
from tests.inbound.responses.test_request_clients import CLIENTS, CONTEXT
from tests.inbound.responses.test_request_sdk_types import FIELDS, list_requests

WORDS = (*ITEM_SHAPES, *PARTS.shapes, *TOOL_SHAPES, "user", "assistant", "auto", "required")
NAMES = sorted(
    {name for shape in (*ITEM_SHAPES.values(), *TOOL_SHAPES.values()) for name in shape.members}
    | {"type", "content", "restored", "issued_by", "", "x"}
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS),
    st.text(max_size=5),
)
VALUES = st.recursive(
    SCALARS,
    lambda children: st.one_of(
        st.lists(children, max_size=4),
        st.dictionaries(st.sampled_from(NAMES), children, max_size=4),
    ),
    max_leaves=10,
)
REQUESTS = [*CLIENTS.values(), *(request for _, request in list_requests())]


def answer(data: Any) -> Any:
    """The unified request; None if the request is refused."""
    try:
        client_body = FORMAT.parse(data, CONTEXT).client_body
        assert client_body is not None
        return client_body.unified
    except InvalidRequest as error:
        assert error.message  # noqa: PT017
        return None


def send(data: Any) -> None:
    unified = answer(data)
    if unified is None:
        return
    CHAT.parse(unified)
    split_name("x", data)
    client_body = FORMAT.parse(data, CONTEXT).client_body
    for target in TARGETS.values():
        try:
            prepare({"model": "m"}, target, client_body=client_body)
        except InvalidRequest:
            continue


def list_places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    members = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        members = enumerate(value)
    for key, member in members:
        yield from list_places(member, (*place, key))


def replace(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    changed = copy.copy(value)
    changed[place[0]] = replace(value[place[0]], place[1:], new)
    return changed


SLOW = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)


@SLOW
@given(st.data())
def test_one_odd_value_anywhere(data: st.DataObject) -> None:
    request = data.draw(st.sampled_from(REQUESTS))
    place = data.draw(st.sampled_from(list(list_places(request))[1:]))
    send(replace(request, place, data.draw(VALUES)))


@SLOW
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), VALUES, max_size=5), VALUES)
def test_odd_values_everywhere(fields: dict[str, Any], value: Any) -> None:
    send({"model": "m", "input": value, **fields})


@SLOW
@given(st.lists(st.fixed_dictionaries({"type": st.sampled_from(WORDS)}), max_size=5), VALUES)
def test_items_that_lack_everything(items: list[Any], value: Any) -> None:
    send({"model": "m", "input": [{**item, "content": value} for item in items]})


def test_nesting_is_bounded() -> None:
    value: Any = []
    for _ in range(5000):
        value = [value]
    answer({"model": "m", "input": "Hi", "new": value})
    item = {"type": "shell_call", "call_id": "c", "action": {"x": value}}
    answer({"model": "m", "input": [{"role": "user", "content": "Hi"}, item]})


@each(
    "fields, path",
    [
        ({"input": [{"role": "user", "content": ""}] * 10_001}, "input"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": ""}] * 10_001}]},
            "input[0].content",
        ),
        ({"tools": [{"type": "local_shell"}] * 1025}, "tools"),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "x"}] * 1025}]},
            "tools[0].tools",
        ),
        ({"include": ["x"] * 101}, "include"),
        ({"model": "m" * 201}, "model"),
    ],
)
def test_lists_are_bounded(fields: dict[str, Any], path: str) -> None:
    assert find_fault(**fields).param == path


def test_long_names_are_not_repeated() -> None:
    name = "k" * 100_000
    tracemalloc.start()
    try:
        answer({"model": "m", "input": "Hi", "tools": [{"type": "function", name: 1, "name": "f"}]})
        answer({"model": "m", "input": [{"type": name}]})
        answer({"model": "m", "input": "Hi", "tools": [{"type": name}], "text": {name: 1}})
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
