"""Every field of the newest official SDK's `ResponseCreateParams` is known, with the members of its
items, parts and tools: an update of the openai package that brings a new one fails here.

Unknown members are errors in this test, as a site can have it (`UNKNOWN_FIELDS = "refuse"`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from django.test import override_settings
from openai.types.responses import response_create_params
from openai.types.responses.response_input_item_param import ResponseInputItemParam
from openai.types.responses.tool_param import ToolParam

from native_api.exceptions import InvalidRequest
from native_api.inbound.openai.responses import ResponsesFormat
from native_api.inbound.openai.responses.items import ITEM_SHAPES, PARTS
from native_api.inbound.openai.responses.serializer import NOT_OFFERED, ResponsesSerializer
from native_api.inbound.openai.responses.tool_shapes import TOOL_SHAPES
from native_api.types import DIALECT_FIELDS
from tests.cases import for_each
from tests.inbound.contexts import context_of
from tests.inbound.test_sdk_types import list_values, read_hints

FIELDS = read_hints(
    response_create_params.ResponseCreateParamsNonStreaming,
    response_create_params.ResponseCreateParamsStreaming,
)
FORMAT = ResponsesFormat()
REQUEST: dict[str, Any] = {"model": "m", "input": "Hi"}


def list_requests() -> Iterator[tuple[str, Any]]:
    for name, hint in FIELDS.items():
        if name not in NOT_OFFERED:
            for number, value in enumerate(list_values(hint, name)):
                yield f"{name} #{number}", {**REQUEST, name: value}


@for_each(list_requests)
@override_settings(NATIVE_API={"UNKNOWN_FIELDS": "refuse"})
def test_every_member_of_a_request_is_known(request_body: dict[str, Any]) -> None:
    FORMAT.parse(request_body, context_of())


@for_each(list_requests)
@override_settings(NATIVE_API={"UNKNOWN_FIELDS": "drop"})
def test_nothing_that_is_known_is_dropped(request_body: dict[str, Any]) -> None:
    parsed = FORMAT.parse(request_body, context_of())
    assert parsed.client_body is not None
    if "encrypted_content" not in str(request_body["input"]):
        assert parsed.dropped_fields == []
        assert parsed.client_body.body == request_body


def test_every_top_level_field_is_in_the_serializer() -> None:
    assert sorted(FIELDS.keys() - ResponsesSerializer().fields.keys()) == []


def read_kinds(union: Any) -> set[str]:
    kinds = (read_hints(member).get("type") for member in get_args(union))
    return {kind for hint in kinds for kind in get_args(hint) if isinstance(kind, str)}


def test_every_kind_of_item_and_tool_has_a_shape() -> None:
    assert read_kinds(ToolParam) - TOOL_SHAPES.keys() == set()
    assert read_kinds(ResponseInputItemParam) - ITEM_SHAPES.keys() == set()
    assert PARTS.shapes.keys() >= {"input_text", "input_image", "input_file", "input_audio"}


def test_the_walk_reaches_the_depths_of_the_types() -> None:
    requests = [request for _, request in list_requests()]
    assert len(requests) > 500
    text = str(requests)
    for member in ("vector_store_ids", "apply_patch_call", "acknowledged_safety_checks", "ttl"):
        assert f"'{member}'" in text


@pytest.mark.parametrize(
    "changed",
    [
        {"mood": "calm"},
        {"input": [{"role": "user", "content": "Hi", "mood": "calm"}]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "", "mood": 1}]}]},
        {"tools": [{"type": "namespace", "name": "n", "tools": [], "mood": 1}]},
        {"tools": [{"type": "function", "name": "f", "mood": 1}]},
        {"text": {"mood": 1}},
        {"reasoning": {"mood": 1}},
    ],
)
def test_a_member_that_is_new_would_fail(changed: dict[str, Any]) -> None:
    with (
        override_settings(NATIVE_API={"UNKNOWN_FIELDS": "refuse"}),
        pytest.raises(InvalidRequest) as caught,
    ):
        FORMAT.parse({**REQUEST, **changed}, context_of())
    assert caught.value.code == "unknown_field"
    assert "mood" in (caught.value.param or "")


def test_the_unified_request_has_fields_of_its_own_only() -> None:
    for _, request in list_requests():
        parsed = FORMAT.parse(request, context_of())
        assert parsed.client_body is not None
        try:
            unified = parsed.client_body.unified
        except InvalidRequest:
            continue
        assert unified.keys() <= DIALECT_FIELDS | {"model", "stream", "stream_options"}
