"""A client's own body goes on to Claude as it was written, at each of its hosts, but for the edits
that have a test here. `test_anthropic_turns` has those of its turns and for its model."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from native_api.dialects import DIALECTS, Anthropic, AnthropicVertex
from native_api.exceptions import UnsupportedField
from native_api.types import Provider, Target
from tests.cases import each
from tests.dialects.anthropic_bodies import (
    HOSTS,
    RESULT,
    TEXT,
    TOOL,
    USER,
    WRITTEN,
    forward,
    make_target,
    send,
    without,
)

# --- hosts ---------------------------------------------------------------------------------------


def test_a_body_goes_on_as_it_was_written_and_its_betas_as_a_header() -> None:
    request = forward(WRITTEN)
    assert json.loads(request.content) == without(WRITTEN, "betas")
    assert request.omitted == ()
    assert request.url == "https://api.example/v1/messages"
    assert request.headers == {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,of-tomorrow-2027-01-01",
    }


def test_a_body_without_betas_names_none() -> None:
    assert "anthropic-beta" not in forward({}).headers


def test_vertex_has_the_model_in_the_address() -> None:
    request = forward(WRITTEN, make_target(dialect="anthropic_vertex"))
    assert json.loads(request.content) == {
        **without(WRITTEN, "betas", "model"),
        "anthropic_version": "vertex-2023-10-16",
    }
    assert request.url.endswith("/models/claude-opus-4-8:streamRawPredict")
    assert request.headers == {"anthropic-beta": "claude-code-20250219,of-tomorrow-2027-01-01"}


@each("dialect", ["bedrock", "anthropic_bedrock"])
def test_bedrock_has_the_model_in_the_address_and_no_unknown_beta(dialect: str) -> None:
    request = forward(WRITTEN, make_target(dialect=dialect))
    assert json.loads(request.content) == {
        **without(WRITTEN, "betas", "model", "stream", "service_tier"),
        "anthropic_version": "bedrock-2023-05-31",
    }
    assert request.omitted == ("betas",)
    model = "us.anthropic.claude-opus-4-8-v1:0"
    assert request.url == f"https://api.example/v1/model/{model}/invoke-with-response-stream"
    assert request.headers == {}
    assert forward({}, make_target(dialect=dialect)).url.endswith("/invoke")


def test_bedrock_has_the_betas_that_it_takes_in_the_body() -> None:
    betas = ["context-1m-2025-08-07", "claude-code-20250219", "interleaved-thinking-2025-05-14"]
    request = forward({"betas": betas}, make_target(dialect="bedrock"))
    assert request.body["anthropic_beta"] == [betas[0], betas[2]]
    assert request.omitted == ("betas",)


@each("dialect", ["anthropic_vertex", "bedrock"])
def test_a_beta_has_the_hosts_name(dialect: str) -> None:
    request = forward({"betas": ["advanced-tool-use-2025-11-20"]}, make_target(dialect=dialect))
    named = request.body.get("anthropic_beta") or [request.headers["anthropic-beta"]]
    assert named == ["tool-search-tool-2025-10-19"]
    assert request.omitted == ()


def test_other_models_on_bedrock_are_translated_to() -> None:
    target = Target(Provider("p", "bedrock", "https://api.example/v1"), "us.amazon.nova-pro-v1:0")
    assert DIALECTS["bedrock"].forwarder("anthropic", target) is None
    assert DIALECTS["bedrock"].forwarder("openai_chat", make_target(dialect="bedrock")) is None


@each("tier, omitted", [("auto", ()), ("standard_only", ("service_tier",))])
def test_bedrocks_service_tier_is_not_in_the_body(tier: str, omitted: Any) -> None:
    request = forward({"service_tier": tier}, make_target(dialect="bedrock"))
    assert ("service_tier" in request.body, request.omitted) == (False, omitted)


@each("dialect", ["anthropic_vertex", "bedrock", "anthropic_bedrock"])
@each("beta", ["files-api-2025-04-14", "skills-2025-10-02", "prompt-caching-scope-2026-01-05"])
def test_a_beta_that_a_host_lacks_is_left_out_and_reported(beta: str, dialect: str) -> None:
    request = forward({"betas": [beta]}, make_target(dialect=dialect))
    assert "anthropic-beta" not in request.headers
    assert "anthropic_beta" not in request.body
    assert request.omitted == ("betas",)


@each("dialect", ["anthropic_vertex", "bedrock"])
def test_the_scope_of_a_cache_goes_with_its_beta(dialect: str) -> None:
    scoped = {"cache_control": {"type": "ephemeral", "scope": "global"}}
    plain = {"cache_control": {"type": "ephemeral"}}
    body = {
        "betas": ["prompt-caching-scope-2026-01-05"],
        "system": [{"type": "text", "text": "a", **scoped}],
        "messages": [{"role": "user", "content": [{**RESULT, "content": [{**TEXT, **scoped}]}]}],
        "tools": [{**TOOL, **scoped}, TOOL],
        **scoped,
    }
    request = forward(body, make_target(dialect=dialect))
    assert request.body["system"] == [{"type": "text", "text": "a", **plain}]
    assert request.body["messages"][0]["content"][0]["content"] == [{**TEXT, **plain}]
    assert request.body["tools"] == [{**TOOL, **plain}, TOOL]
    assert request.body["cache_control"] == plain["cache_control"]
    assert request.omitted == ("cache_control.scope", "betas")
    assert send(body)["system"] == body["system"]


@each("dialect", ["anthropic_vertex", "bedrock"])
def test_a_file_that_the_host_would_have_to_fetch_is_refused(dialect: str) -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/i.png"}}
    body = {"messages": [USER, {"role": "user", "content": [{**RESULT, "content": [image]}]}]}
    assert send(body)["messages"] == body["messages"]
    with pytest.raises(UnsupportedField) as caught:
        forward(body, make_target(dialect=dialect))
    assert caught.value.param == "messages[1].content[0].content[0].source"


def test_invoke_counts_tokens_of_its_own_body() -> None:
    target = make_target(dialect="bedrock")
    forwarder = DIALECTS["bedrock"].forwarder("anthropic", target)
    assert forwarder is not None
    request = forward({}, target)
    counting = forwarder.count_tokens_request(request, target)
    assert counting is not None
    assert counting.url.endswith("/model/anthropic.claude-opus-4-8-v1:0/count-tokens")
    counted = json.loads(base64.b64decode(counting.body["input"]["invokeModel"]["body"]))
    assert counted == request.body
    assert forwarder.count_tokens_reply({"inputTokens": 7}) == 7


# --- options and what the gateway owns -----------------------------------------------------------


def test_the_gateways_own_fields_stay_here() -> None:
    own = {"fallbacks": ["m"], "conversation_id": "c", "tier": "simple", "provider_options": {}}
    assert send(own) == send({"fallbacks": None})


def test_options_are_added_with_the_betas_that_they_need() -> None:
    options = {"p": {"diagnostics": {"x": 1}, "tools": [{"type": "bash"}], "betas": ["b"]}}
    request = forward({"tools": [TOOL], "betas": ["a"], "provider_options": options})
    assert request.body["tools"] == [TOOL, {"type": "bash"}]
    assert request.headers["anthropic-beta"] == "a,b,cache-diagnosis-2026-04-07"


def test_a_clients_own_field_brings_only_the_betas_that_it_names() -> None:
    assert "anthropic-beta" not in forward({"diagnostics": {"x": 1}}).headers


def test_converses_options_have_the_models_own_fields_for_invoke() -> None:
    target = make_target(dialect="bedrock")
    fields = {"top_k": 5, "anthropic_beta": ["b"]}
    options = {"bedrock": {"additionalModelRequestFields": fields}}
    sent = send({"provider_options": options, "betas": ["effort-2025-11-24"]}, target)
    assert (sent["top_k"], sent["anthropic_beta"]) == (5, ["effort-2025-11-24", "b"])
    for member, path in (("guardrailConfig", "p.guardrailConfig"), ("modelId", "p.modelId")):
        with pytest.raises(UnsupportedField, match=rf"^provider_options\.{path}"):
            forward({"provider_options": {"p": {member: "x"}}}, target)


OWNED: dict[str, Any] = {
    "fallbacks": [{"model": "claude-haiku-4-5"}],
    "models": ["a"],
    "mcp_servers": [{"type": "url", "url": "http://10.0.0.1"}],
    "inference_geo": "us",
    "container": "container_1",
    "thread": {"type": "continue", "previous_message_id": "msg_1"},
    "workspace_id": "w",
    "user_profile_id": "u",
    "billing_policy": {"type": "billing_policy", "bill_to": "user_profile"},
    "base_url": "http://10.0.0.1",
}


@each("dialect", HOSTS)
@each("name", OWNED)
def test_a_client_cannot_set_what_the_gateway_owns(name: str, dialect: str) -> None:
    with pytest.raises(UnsupportedField) as caught:
        forward({name: OWNED[name]}, make_target(dialect=dialect))
    assert caught.value.param == name


@each("dialect", HOSTS)
@each("name", ["Model", "serviceTier", "Max-Tokens", "STREAM", "Speed", "Betas", "providerOptions"])
def test_a_field_that_was_read_has_no_other_spelling(name: str, dialect: str) -> None:
    with pytest.raises(UnsupportedField, match="write it as") as caught:
        forward({name: "x"}, make_target(dialect=dialect))
    assert caught.value.param == name


def test_a_tool_cannot_choose_a_model() -> None:
    with pytest.raises(UnsupportedField) as caught:
        forward({"tools": [{"type": "advisor_20260301", "name": "a", "model": "claude-opus-5"}]})
    assert caught.value.param == "tools[0].model"


def test_a_tool_that_is_added_in_the_middle_cannot_either() -> None:
    def add(tool: dict[str, Any]) -> dict[str, Any]:
        block = {"type": "tool_addition", "tool": {"type": "definition", "definition": tool}}
        return {"messages": [USER, {"role": "system", "content": [block]}]}

    schema = {"properties": {"model": {}}, "examples": [{"model": "x"}]}
    forward(add({"name": "f", "input_schema": schema}))
    advisor = {"type": "advisor_20260301", "name": "a", "model": "claude-opus-5"}
    with pytest.raises(UnsupportedField, match="which model answers") as caught:
        forward(add(advisor))
    assert caught.value.param == "messages[1].content[0].tool.definition.model"


def test_options_have_no_account_of_another_gateway() -> None:
    for name in ("api_base", "api_key", "headers"):
        with pytest.raises(UnsupportedField, match=rf"^provider_options\.p\.{name}"):
            forward({"provider_options": {"p": {name: "http://x"}}})


def test_a_file_of_the_shared_key_is_refused_and_goes_on_to_an_own_account() -> None:
    block = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
    body = {"messages": [{"role": "user", "content": [{**RESULT, "content": [block]}]}]}
    with pytest.raises(UnsupportedField, match="shared by all callers") as caught:
        forward(body)
    assert caught.value.param == "messages[0].content[0].content[0].source.file_id"
    assert send(body, make_target(own_account=True))["messages"] == body["messages"]


@each("speed, omitted", [("fast", ("speed", "betas")), ("standard", ("betas",))])
def test_the_dearer_inference_is_left_out_with_its_beta(speed: str, omitted: Any) -> None:
    request = forward({"speed": speed, "betas": ["fast-mode-2026-02-01", "a"]})
    assert "speed" not in request.body
    assert request.headers["anthropic-beta"] == "a"
    assert request.omitted == omitted


# --- subclasses ----------------------------------------------------------------------------------


def test_a_subclass_that_builds_other_bodies_has_its_requests_translated() -> None:
    class Other(Anthropic):
        def build_body(
            self, chat: Any, target: Target, body: dict[str, Any], omitted: list[str]
        ) -> None:
            super().build_body(chat, target, body, omitted)
            body["site"] = "s"

    class Both(Other):
        def edit_client_body(
            self, body: dict[str, Any], target: Target, omitted: list[str]
        ) -> dict[str, Any]:
            return {**super().edit_client_body(body, target, omitted), "site": "s"}

    class Plain(Anthropic):
        def url(self, chat: Any, target: Target) -> str:
            return "https://b.example"

    assert Other().forwarder("anthropic", make_target()) is None
    for dialect in (Both(), Plain(), AnthropicVertex()):
        assert dialect.forwarder("anthropic", make_target()) is dialect
    body = {"model": "m", "max_tokens": 5, "messages": [USER]}
    assert Both().forward(body, make_target()).body["site"] == "s"
    assert Plain().forward(body, make_target()).url == "https://b.example"
