"""Requests that let a provider count input tokens, and what it answers. The official SDKs' types
and AWS's model of its API are the judges."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from anthropic.types.beta import message_count_tokens_params as anthropic_count
from anthropic.types.beta import message_create_params as anthropic_create
from openai.types.responses import input_token_count_params, response_create_params

from native_api.dialects import DIALECTS
from native_api.dialects.anthropic.token_counting import NOT_COUNTED
from native_api.dialects.openai_responses.token_counting import COUNTED
from native_api.exceptions import UpstreamError
from native_api.types import Provider, Target, UpstreamRequest
from tests.dialects.model_requests import TOOL, make_target, tool_step
from tests.dialects.test_bedrock_api_model import find_faults
from tests.sdk_types import check_type

pytestmark = pytest.mark.pure

CHAT: Any = {
    "model": "x",
    "messages": [{"role": "system", "content": "Be short."}, *tool_step()],
    "tools": [TOOL],
    "tool_choice": "auto",
    "temperature": 0.5,
    "stop": ["."],
    "max_tokens": 100,
    "user": "me",
    "service_tier": "auto",
    "metadata": {"a": "b"},
}


def count_request(preset: str, model: str, dialect: str = "", **fields: Any) -> UpstreamRequest:
    target = make_target(preset, model, dialect)
    wire = DIALECTS[target.provider.dialect]
    request = wire.request({**CHAT, **fields}, target)
    before = dict(request.body)
    counting = wire.count_tokens_request(request, target)
    assert counting is not None
    assert request.body == before
    return counting


def test_anthropic_counts_a_message_without_what_only_its_answer_needs() -> None:
    request = count_request("anthropic", "claude-haiku-4-5", reasoning_effort="low")
    assert request.url == "https://api.example/v1/messages/count_tokens"
    assert request.headers["anthropic-version"]
    check_type(anthropic_count.MessageCountTokensParams, request.body)
    assert {"system", "messages", "tools", "tool_choice", "model"} <= request.body.keys()


def test_anthropics_members_are_those_of_its_sdk() -> None:
    """With `stream`, and the sampling that newer versions of the SDK no longer have."""
    created = anthropic_create.MessageCreateParamsBase.__annotations__.keys()
    counted = anthropic_count.MessageCountTokensParams.__annotations__.keys()
    assert created - counted <= NOT_COUNTED
    assert not NOT_COUNTED & counted


def test_vertex_names_the_model_in_the_body() -> None:
    request = count_request("vertex-anthropic", "claude-haiku-4-5@20251001")
    place = "/publishers/anthropic/models/count-tokens:rawPredict"
    assert request.url.endswith(place)
    assert request.body["model"] == "claude-haiku-4-5@20251001"
    assert request.body["anthropic_version"]


def test_gemini_counts_the_whole_request() -> None:
    request = count_request("gemini", "gemini-3-pro")
    assert request.url.endswith("/models/gemini-3-pro:countTokens")
    counted = request.body["generateContentRequest"]
    assert counted["model"] == "models/gemini-3-pro"
    assert {"contents", "systemInstruction", "tools", "generationConfig"} <= counted.keys()


def test_vertex_has_members_of_its_own_for_gemini() -> None:
    request = count_request("vertex", "gemini-3-pro")
    assert request.url.endswith("/publishers/google/models/gemini-3-pro:countTokens")
    assert {"contents", "systemInstruction", "tools"} <= request.body.keys()
    assert "generateContentRequest" not in request.body


@functools.cache
def count_tokens_operation() -> Any:
    from botocore.session import get_session  # Heavy: not when tests are collected.

    return get_session().get_service_model("bedrock-runtime").operation_model("CountTokens")


@pytest.mark.parametrize("model", ["anthropic.claude-haiku-4-5", "us.anthropic.claude-haiku-4-5"])
def test_bedrock_counts_a_conversation(model: str) -> None:
    request = count_request("bedrock", model)
    assert request.url.endswith("/model/anthropic.claude-haiku-4-5/count-tokens")
    body = {"modelId": model, **request.body}
    assert list(find_faults(count_tokens_operation().input_shape, body)) == []
    assert {"messages", "system", "toolConfig"} <= request.body["input"]["converse"].keys()


def test_responses_count_the_members_that_the_endpoint_has() -> None:
    request = count_request("", "gpt-5", dialect="openai_responses", stop=None)
    assert request.url.endswith("/v1/responses/input_tokens")
    check_type(input_token_count_params.InputTokenCountParams, request.body)
    assert {"input", "tools", "tool_choice", "model"} <= request.body.keys()
    assert "store" not in request.body


def test_responses_members_are_those_of_the_sdk() -> None:
    counted = input_token_count_params.InputTokenCountParams.__annotations__.keys()
    assert set(COUNTED) == counted - {"conversation"}
    assert counted - response_create_params.ResponseCreateParamsBase.__annotations__.keys() == {
        "personality"
    }


def test_a_query_of_the_base_url_stays_at_the_end() -> None:
    target = Target(Provider("a", "openai_responses", "https://api.example/v1?version=1"), "m")
    dialect = DIALECTS["openai_responses"]
    request = dialect.request(
        {"model": "x", "messages": [{"role": "user", "content": "a"}]}, target
    )
    counting = dialect.count_tokens_request(request, target)
    assert counting is not None
    assert counting.url == "https://api.example/v1/responses/input_tokens?version=1"


@pytest.mark.parametrize("name", ["openai", "cohere", "ollama"])
def test_other_wires_count_nothing(name: str) -> None:
    request = UpstreamRequest("https://api.example", {})
    target = Target(Provider("a", name, "https://api.example"), "m")
    assert DIALECTS[name].count_tokens_request(request, target) is None


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("anthropic", "input_tokens"),
        ("anthropic_vertex", "input_tokens"),
        ("gemini", "totalTokens"),
        ("bedrock", "inputTokens"),
        ("openai_responses", "input_tokens"),
    ],
)
def test_the_answer_is_one_number(name: str, member: str) -> None:
    dialect = DIALECTS[name]
    assert dialect.count_tokens_reply({member: 14}) == 14
    for odd in ({}, {member: "14"}, {member: -1}, {member: None}, [], None, "a", {"error": {}}):
        with pytest.raises(UpstreamError):
            dialect.count_tokens_reply(odd)  # type: ignore[arg-type]
