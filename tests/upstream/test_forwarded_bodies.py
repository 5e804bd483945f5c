"""Whatever a client of Responses or Messages writes: its body is forwarded or refused with an error
of the request that names its own path. The seal, the check and the dialect are the real ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from native_api.exceptions import InvalidRequest, UnsupportedField
from native_api.inbound.anthropic.messages.messages import MessagesFormat
from native_api.inbound.openai.responses import ResponsesFormat
from native_api.operations import CHAT
from native_api.types import Provider, Target
from native_api.upstream.prepared_request import PreparedRequest, prepare
from tests.cases import for_each
from tests.dialects.test_odd_values import find_places, put
from tests.inbound.contexts import context_of
from tests.inbound.messages.test_hostile import REQUEST as MESSAGES_REQUEST
from tests.inbound.responses.test_hostile_input import REQUESTS as RESPONSES_REQUESTS
from tests.inbound.responses.test_hostile_input import VALUES

PUBLIC = "https://api.example/v1"
INTERNAL = "http://10.0.0.7/v1"
FORMATS: dict[str, Any] = {"openai_responses": ResponsesFormat(), "anthropic": MessagesFormat()}
TARGETS = [
    Target(Provider("p", wire, url, own_account=own_account), model)
    for wire, model in (("openai_responses", "gpt-5.5"), ("anthropic", "claude-opus-4-8"))
    for url in (PUBLIC, INTERNAL)
    for own_account in (False, True)
]


def forward(request: Any, target: Target) -> PreparedRequest:
    parsed = FORMATS[target.provider.dialect].parse(request, context_of())
    prepared = prepare(parsed.body, target, CHAT, parsed.client_body)
    assert prepared.client_body is not None
    return prepared


def try_all(request: Any, wire: str) -> int:
    """How many targets of this wire take it. The others refuse it."""
    taken = 0
    for target in TARGETS:
        if target.provider.dialect == wire:
            try:
                taken += forward(request, target).wire == wire
            except InvalidRequest as error:
                assert error.message  # noqa: PT017
    return taken


WIDEST = max(RESPONSES_REQUESTS, key=lambda request: len(str(request)))
ODD_VALUES: tuple[Any, ...] = (None, 1, "x", [1], {"type": [], "role": {}}, {"type": "text"})


@for_each(lambda: [(f"{place}", place) for place in find_places(WIDEST)])
def test_no_value_in_a_response_makes_the_gateway_fail(place: tuple[Any, ...]) -> None:
    for value in ODD_VALUES:
        try_all(put(WIDEST, place, value), "openai_responses")


@for_each(lambda: [(f"{number}", request) for number, request in enumerate(RESPONSES_REQUESTS)])
def test_what_clients_send_is_taken_or_refused(request: Any) -> None:
    try_all(request, "openai_responses")


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
@given(st.data())
def test_one_odd_value_anywhere(data: st.DataObject) -> None:
    wire = data.draw(st.sampled_from(list(FORMATS)))
    request = MESSAGES_REQUEST if wire == "anthropic" else WIDEST
    place = data.draw(st.sampled_from(list(find_places(request))))
    try_all(put(request, place, data.draw(VALUES)), wire)


FETCHED: dict[str, tuple[str, Any]] = {
    "input[0].content[0].image_url": (
        "openai_responses",
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": "http://10.0.0.1/i.png"}],
                }
            ]
        },
    ),
    "tools[0].server_url": (
        "openai_responses",
        {
            "input": "Hi",
            "tools": [{"type": "mcp", "server_label": "a", "server_url": "http://10.0.0.1"}],
        },
    ),
    "messages[0].content[0].source.url": (
        "anthropic",
        {
            "max_tokens": 5,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "url", "url": "http://10.0.0.1/i.png"},
                        }
                    ],
                }
            ],
        },
    ),
}


@pytest.mark.parametrize("path", FETCHED)
def test_a_provider_in_the_sites_network_is_not_made_to_fetch(path: str) -> None:
    wire, request = FETCHED[path]
    for target in TARGETS:
        if target.provider.dialect != wire:
            continue
        if target.provider.base_url == PUBLIC:
            forward({"model": "m", **request}, target)
            continue
        with pytest.raises(UnsupportedField) as caught:
            forward({"model": "m", **request}, target)
        assert caught.value.param == path
