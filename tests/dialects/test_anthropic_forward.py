"""A client's own body goes on to Claude as it was written, at each of its hosts, but for the edits
that have a test here."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.shared.memo import freeze
from native_api.exceptions import UnsupportedField
from native_api.types import Provider, Target
from tests.cases import each

USER: dict[str, Any] = {"role": "user", "content": "Hi"}
TEXT: dict[str, Any] = {"type": "text", "text": "Ho", "citations": None}
CALL: dict[str, Any] = {
    "type": "tool_use",
    "id": "toolu_1",
    "name": "no.such/name at 'other' wires",
    "input": {"file_id": "file_1"},
    "caller": {"type": "direct"},
}
RESULT: dict[str, Any] = {
    "type": "tool_result",
    "tool_use_id": "toolu_1",
    "content": "ok",
    "cache_control": {"type": "ephemeral", "ttl": "1h"},
}
THINKING: dict[str, Any] = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
REDACTED: dict[str, Any] = {"type": "redacted_thinking", "data": "c2VjcmV0"}
TOOL: dict[str, Any] = {
    "name": "f",
    "input_schema": {"properties": {"conversation_id": {"type": "string"}, "model": {}}},
}
WRITTEN: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 32000,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=1a2b3;"},
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
    ],
    "messages": [
        USER,
        {"role": "assistant", "content": [TEXT, CALL]},
        {"role": "user", "content": [RESULT, {"type": "of_tomorrow", "mood": "calm"}]},
        {"role": "system", "content": "In the middle."},
        {"role": "user", "content": []},
    ],
    "tools": [
        TOOL,
        {"type": "custom", **TOOL, "strict": True},
        {"type": "web_search_20260209", "name": "web_search"},
        {"type": "of_tomorrow", "strength": 3},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "metadata": {"user_id": '{"session_id": "s"}'},
    "service_tier": "auto",
    "temperature": None,
    "diagnostics": {"previous_message_id": "m"},
    "weather": {"sky": "blue"},
    "stream": True,
    "betas": ["claude-code-20250219", "of-tomorrow-2027-01-01"],
}
"""With fields, betas, blocks and tools that nobody knows yet."""

VERTEX = {"project": "p", "location": "global"}
HOSTS = ("anthropic", "anthropic_vertex", "bedrock", "anthropic_bedrock")


def make_target(model: str = "claude-opus-4-8", dialect: str = "anthropic", **rest: Any) -> Target:
    if "bedrock" in dialect:
        model = f"us.anthropic.{model}-v1:0"
    provider = Provider("p", dialect, "https://api.example/v1", options=VERTEX, **rest)
    return Target(provider, model)


def forward(body: dict[str, Any], target: Target | None = None) -> Any:
    """The upstream request. The body is frozen: a change would raise."""
    target = target or make_target()
    forwarder = DIALECTS[target.provider.dialect].forwarder("anthropic", target)
    assert forwarder is not None
    written = {"model": "claude", "max_tokens": 9000, "messages": [USER], **body}
    return forwarder.forward(freeze(written), target)


def send(body: dict[str, Any], target: Target | None = None) -> Any:
    return json.loads(forward(body, target).content)


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


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
@each("name", ["Model", "serviceTier", "Max-Tokens", "STREAM", "Speed", "Betas"])
def test_a_field_that_was_read_has_no_other_spelling(name: str, dialect: str) -> None:
    with pytest.raises(UnsupportedField, match="write it as") as caught:
        forward({name: "x"}, make_target(dialect=dialect))
    assert caught.value.param == name


def test_a_tool_cannot_choose_a_model() -> None:
    with pytest.raises(UnsupportedField) as caught:
        forward({"tools": [{"type": "advisor_20260301", "name": "a", "model": "claude-opus-5"}]})
    assert caught.value.param == "tools[0].model"


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


# --- thinking and calls --------------------------------------------------------------------------


@each("dialect", HOSTS)
def test_thinking_goes_back_to_its_issuer_without_the_mark(dialect: str) -> None:
    mark = {"issued_by": "p/anthropic" if "bedrock" in dialect else "p"}
    blocks = [{**THINKING, **mark}, {**REDACTED, **mark}, CALL]
    request = forward(
        {"messages": [USER, {"role": "assistant", "content": blocks}, USER]},
        make_target(dialect=dialect),
    )
    assert request.body["messages"][1]["content"] == [THINKING, REDACTED, CALL]
    assert request.omitted == ()


@each("block", [
    {**THINKING, "issued_by": "q"},
    {**REDACTED, "issued_by": "q"},
    {**THINKING, "signature": ""},
    THINKING,
    {**THINKING, "signature": "", "restored": {"reasoning_details": []}},
])  # fmt: skip
def test_other_thinking_is_left_out_and_reported(block: dict[str, Any]) -> None:
    turns = [USER, {"role": "assistant", "content": [block, TEXT]}, USER]
    alone = [USER, {"role": "assistant", "content": [block]}, USER]
    request = forward({"messages": turns})
    assert request.body["messages"][1]["content"] == [TEXT]
    assert request.omitted == ("messages.thinking",)
    assert send({"messages": alone})["messages"] == [USER, USER]


def test_a_vendor_that_signs_nothing_gets_its_thinking_back() -> None:
    turns = [USER, {"role": "assistant", "content": [{**THINKING, "signature": ""}, CALL]}, USER]
    assert send({"messages": turns}, make_target("MiniMax-M2"))["messages"] == turns


def test_a_claude_that_thinks_by_budget_goes_on_without_lost_thinking() -> None:
    turns = [
        USER,
        {"role": "assistant", "content": [{**THINKING, "issued_by": "q"}, CALL]},
        {"role": "user", "content": [RESULT]},
    ]
    thinking = {"type": "enabled", "budget_tokens": 2000}
    target = make_target("claude-sonnet-4-5")
    request = forward({"messages": turns, "thinking": thinking}, target)
    assert "thinking" not in request.body
    assert request.omitted == ("messages.thinking", "thinking")
    own = [USER, {"role": "assistant", "content": [{**THINKING, "issued_by": "p"}, CALL]}, turns[2]]
    assert send({"messages": own, "thinking": thinking}, target)["thinking"] == thinking


def test_ids_of_calls_from_elsewhere_fit_in_call_and_result() -> None:
    foreign = "functions.f:0"
    turns = [
        USER,
        {"role": "assistant", "content": [{**CALL, "id": foreign}]},
        {"role": "user", "content": [{**RESULT, "tool_use_id": foreign}]},
    ]
    sent = send({"messages": turns})["messages"]
    assert sent[1]["content"][0]["id"] == sent[2]["content"][0]["tool_use_id"] != foreign


# --- another Claude than the client meant --------------------------------------------------------

FITTED: dict[str, tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "a budget for a model that decides itself": (
        "claude-opus-4-8",
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"thinking": {"type": "adaptive", "display": "summarized"}},
        ("thinking.budget_tokens",),
    ),
    "a budget without its text": (
        "claude-opus-4-8",
        {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}},
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        ("thinking.budget_tokens",),
    ),
    "a budget for a model that still takes it": (
        "claude-opus-4-6",
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        (),
    ),
    "adaptive thinking for a model with budgets": (
        "claude-haiku-4-5",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low", "format": {}}},
        {
            "thinking": {"type": "enabled", "budget_tokens": 7200},
            "output_config": {"format": {}},
        },
        ("output_config.effort", "thinking"),
    ),
    "an effort for the only model with budgets that has one": (
        "claude-opus-4-5",
        {"output_config": {"effort": "low"}},
        {"output_config": {"effort": "low"}},
        (),
    ),
    "adaptive thinking without room for it": (
        "claude-haiku-4-5",
        {"thinking": {"type": "adaptive"}, "max_tokens": 1000},
        {"max_tokens": 1000},
        ("thinking",),
    ),
    "thinking for a model that never thinks": (
        "claude-3-5-haiku",
        {"thinking": {"type": "adaptive"}},
        {},
        ("thinking",),
    ),
    "clearing what a model never thinks": (
        "claude-3-5-haiku",
        {
            "thinking": {"type": "adaptive"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015"}, {"type": "x"}]},
        },
        {"context_management": {"edits": [{"type": "x"}]}},
        ("thinking", "context_management.edits"),
    ),
    "clearing nothing else": (
        "claude-haiku-4-5",
        {
            "max_tokens": 1000,
            "thinking": {"type": "adaptive"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
        },
        {"max_tokens": 1000},
        ("thinking", "context_management.edits"),
    ),
    "no thinking for a model that always thinks": (
        "claude-opus-5-5",
        {"thinking": {"type": "disabled"}},
        {"output_config": {"effort": "low"}},
        ("thinking",),
    ),
    "no thinking for a model that can be told so": (
        "claude-sonnet-4-6",
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "disabled"}},
        (),
    ),
    "an effort that the model lacks": (
        "claude-sonnet-4-6",
        {"output_config": {"effort": "xhigh"}},
        {"output_config": {"effort": "max"}},
        ("output_config.effort",),
    ),
    "sampling for a model without it": (
        "claude-opus-4-8",
        {"temperature": 0.2, "top_p": 1, "top_k": 5},
        {},
        ("temperature", "top_k"),
    ),
    "both kinds of sampling for a model that takes one": (
        "claude-sonnet-4-5",
        {"temperature": 0.2, "top_p": 0.9},
        {"temperature": 0.2},
        ("top_p",),
    ),
    "another vendor's model": (
        "MiniMax-M2",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}, "top_k": 5},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}, "top_k": 5},
        (),
    ),
}


@each("name", FITTED)
def test_a_body_fits_the_routes_model(name: str) -> None:
    model, written, expected, omitted = FITTED[name]
    request = forward(written, make_target(model))
    frame = {"model": model, "max_tokens": 9000, "messages": [USER]}
    assert request.body == {**frame, **expected}
    assert request.omitted == omitted


def test_instructions_among_the_turns_move_where_the_model_takes_them() -> None:
    late = {"role": "system", "content": [TEXT], "output_config": {"effort": "low"}}
    body = {"system": "Be brief.", "messages": [USER, late]}
    request = forward(body, make_target("claude-sonnet-4-5"))
    assert request.body["system"] == [{"type": "text", "text": "Be brief."}, TEXT]
    assert request.body["messages"] == [USER]
    assert request.omitted == ("messages.output_config",)
    assert send(body)["messages"] == [USER, late]


# --- replies -------------------------------------------------------------------------------------


def test_a_reply_without_signatures_is_the_same_object() -> None:
    unsigned = {**THINKING, "signature": ""}
    for reply in ({"content": [TEXT, CALL, unsigned]}, {"error": {}}, {"content": "x"}):
        assert DIALECTS["anthropic"].forward_reply(reply, make_target()) is reply


@each("dialect", ["anthropic", "anthropic_vertex", "anthropic_bedrock"])
def test_signatures_are_marked_in_a_copy(dialect: str) -> None:
    mark = {"issued_by": "p/anthropic" if "bedrock" in dialect else "p"}
    reply: dict[str, Any] = {"id": "m", "content": [THINKING, REDACTED, TEXT]}
    before = deepcopy(reply)
    marked = DIALECTS[dialect].forward_reply(reply, make_target(dialect=dialect))
    assert marked == {"id": "m", "content": [{**THINKING, **mark}, {**REDACTED, **mark}, TEXT]}
    assert reply == before
