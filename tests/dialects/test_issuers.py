"""What a provider signed, encrypted or stored goes back to it, and to no other provider."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from native_api.dialects import DIALECTS
from native_api.dialects.gemini.messages import SIGNATURE_BYPASS
from native_api.dialects.openai_chat.dialect import OpenAI
from native_api.dialects.shared.memo import freeze
from native_api.inbound.openai import ChatCompletionSerializer
from native_api.types import Event, Provider, Quirks, Target
from native_api.upstream.decoders import DECODERS
from tests.cases import each, for_each
from tests.dialects.stream_folding import fold
from tests.issued import mark_message
from tests.recorded_cases import build_target, read_stream, recorded_cases, with_members

QUESTION = {"role": "user", "content": "a"}
LATER = {"role": "user", "content": "b"}
CALL = {"id": "call_r1_0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "call_r1_0", "content": "ok"}
TOOLS = [{"type": "function", "function": {"name": "f"}}]
SECRET = "c2lnbmVk"

MODELS = {
    "anthropic": "claude-sonnet-4-6",
    "anthropic_vertex": "claude-sonnet-4-6",
    "anthropic_bedrock": "anthropic.claude-sonnet-4-6",
    "bedrock": "anthropic.claude-sonnet-4-6",
    "gemini": "gemini-3-pro-preview",
    "openai_responses": "gpt-5.4",
    "cohere": "command-a-reasoning-08-2025",
    "ollama": "qwen3",
    "openai": "m",
}


def build_own_target(name: str, provider: str = "p", **rest: Any) -> Target:
    options = {"project": "a-project"}
    return Target(
        Provider(provider, name, "https://api.example/v1", options=options, **rest), MODELS[name]
    )


def send(target: Target, *messages: Any, **fields: Any) -> tuple[str, tuple[str, ...]]:
    """The body in JSON, and what was omitted. The chat is frozen: a change would raise."""
    chat: Any = freeze({"model": "m", "messages": [QUESTION, *messages], **fields})
    request = DIALECTS[target.provider.dialect].request(chat, target)
    return json.dumps(request.body), request.omitted


def build_signed(wire: str, **mark: str) -> dict[str, Any]:
    """A message with something secret in each place where a provider may put it."""
    own = DIALECTS[wire].native_format or wire
    items = [
        {"type": "reasoning.text", "text": "hm", "signature": SECRET},
        {"type": "reasoning.encrypted", "data": SECRET, "id": "rs_1"},
    ]
    return {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "hm",
        "reasoning_details": [
            {**item, "format": own, "index": index, **mark} for index, item in enumerate(items)
        ],
        "provider_content": [
            {"format": own, "index": 0, "block": {"type": "new", "x": SECRET}, **mark}
        ],
        "tool_calls": [
            {**CALL, "extra_content": {"google": {"thought_signature": SECRET, **mark}}}
        ],
        "images": [
            {
                "type": "image_url",
                "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="},
                "extra_content": {"google": {"thought_signature": SECRET, **mark}},
            }
        ],
    }


KEEPS_SIGNED = ("anthropic", "anthropic_vertex", "bedrock", "gemini", "openai_responses")


@each("wire", KEEPS_SIGNED)
def test_what_a_provider_signed_comes_back_to_it(wire: str) -> None:
    target = build_own_target(wire)
    message = build_signed(wire, issued_by=DIALECTS[wire].issuer(target))
    body, omitted = send(target, message, RESULT)
    assert SECRET in body
    assert not {name for name in omitted if "reasoning" in name or "extra" in name}


@each("mark", [{"issued_by": "another"}, {"issued_by": ""}, {}])
@each("wire", sorted(DIALECTS))
def test_what_another_provider_signed_is_left_out_and_reported(
    wire: str, mark: dict[str, str]
) -> None:
    """Also what has no mark: who issued it is unknown."""
    body, omitted = send(build_own_target(wire), build_signed(wire, **mark), RESULT)
    assert SECRET not in body
    assert "Hi" in body
    assert omitted.count("messages.provider_content") == 1
    assert omitted.count("messages.reasoning_details") == 1


@each("wire", sorted(DIALECTS))
def test_a_mark_is_sent_to_no_provider(wire: str) -> None:
    target = build_own_target(
        wire, quirks=Quirks(extensions=frozenset({"reasoning_details", "extra_content", "images"}))
    )
    for issuer in (DIALECTS[wire].issuer(target), "another"):
        body, _ = send(target, build_signed(wire, issued_by=issuer), RESULT)
        assert "issued_by" not in body


@each("wire", KEEPS_SIGNED)
def test_back_at_the_first_provider_its_signatures_are_there_again(wire: str) -> None:
    first, second = build_own_target(wire, "first"), build_own_target(wire, "second")
    chat: Any = {
        "model": "m",
        "messages": [
            QUESTION,
            build_signed(wire, issued_by=DIALECTS[wire].issuer(first)),
            RESULT,
        ],
    }
    before = deepcopy(chat)
    bodies = [
        json.dumps(DIALECTS[wire].request(chat, target).body) for target in (first, second, first)
    ]
    assert [SECRET in body for body in bodies] == [True, False, True]
    assert chat == before


def test_models_of_another_maker_at_bedrock_get_no_signature() -> None:
    provider = Provider("aws", "bedrock", "https://bedrock.example")
    claude = Target(provider, "us.anthropic.claude-sonnet-4-6")
    item = {"type": "reasoning.text", "text": "hm", "signature": SECRET, "format": "bedrock"}
    issuer = DIALECTS["bedrock"].issuer(claude)
    message = mark_message(
        {"role": "assistant", "content": "Hi", "reasoning_details": [item]}, issuer
    )
    models = ("eu.anthropic.claude-opus-4-6", "openai.gpt-5.5", "moonshot.kimi-k3")
    bodies = [send(Target(provider, model), message, LATER)[0] for model in models]
    assert [SECRET in body for body in bodies] == [True, False, False]


def test_a_provider_with_models_of_many_makers_is_one_issuer_for_each_maker() -> None:
    router = Provider("router", "openai", "https://router.example/v1")
    issuer = DIALECTS["openai"].issuer
    claude, opus, grok = (
        issuer(Target(router, model))
        for model in ("anthropic/claude-sonnet-4.6", "anthropic/claude-opus-4.6", "x-ai/grok-4")
    )
    assert claude == opus != grok
    assert issuer(Target(router, "m")) == "router"


def test_a_mark_does_not_show_the_account_in_the_path_of_a_model() -> None:
    router = Provider("router", "openai", "https://router.example/v1")
    for model in ("accounts/acme/models/kimi-k2p5", "projects/12345/locations/eu/endpoints/7"):
        assert DIALECTS["openai"].issuer(Target(router, model)) == "router"


# --- the wires' own rules ------------------------------------------------------------------------


def test_thinking_of_minimax_does_not_reach_claude() -> None:
    thinking = {"type": "reasoning.text", "text": "hm", "signature": "minimax-sig"}
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "hm",
        "reasoning_details": [{**thinking, "format": "anthropic", "index": 0}],
    }
    body, _ = send(build_own_target("anthropic", "anthropic"), message, LATER)
    assert json.loads(body)["messages"][1:2] == [
        {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}
    ]


def test_a_signature_of_vertex_is_replaced_by_the_bypass_at_the_gemini_api() -> None:
    call = {**CALL, "extra_content": {"google": {"thought_signature": "VkVSVEVY"}}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    target = build_own_target("gemini", "gemini")
    for mark in (None, "vertex", "gemini"):
        sent = message if mark is None else mark_message(message, mark)
        parts = json.loads(send(target, sent, RESULT, tools=TOOLS)[0])["contents"][1]["parts"]
        assert [part["thoughtSignature"] for part in parts] == [
            "VkVSVEVY" if mark == "gemini" else SIGNATURE_BYPASS
        ]


def test_reasoning_of_openai_does_not_reach_azure() -> None:
    item = {"type": "reasoning.encrypted", "data": SECRET, "format": "openai_responses"}
    call = {**CALL, "extra_content": {"openai_responses": {"namespace": "n", "caller": "x"}}}
    message = mark_message(
        {
            "role": "assistant",
            "content": "Hi",
            "reasoning_details": [{**item, "id": "rs_1", "index": 0}],
            "tool_calls": [call],
        },
        "openai",
    )
    body, omitted = send(build_own_target("openai_responses", "azure"), message, RESULT)
    kinds = [item.get("type", item.get("role")) for item in json.loads(body)["input"]]
    assert kinds == ["user", "assistant", "function_call", "function_call_output"]
    assert '"namespace": "n"' in body  # the name of the client's own tool
    assert "caller" not in body
    assert omitted == ("messages.reasoning_details", "messages.tool_calls.extra_content")


@each("wire", ["anthropic", "anthropic_vertex", "bedrock"])
def test_claude_does_not_think_by_budget_in_a_step_whose_thinking_is_anothers(wire: str) -> None:
    target = build_own_target(wire)
    old = Target(target.provider, target.model.replace("sonnet-4-6", "sonnet-4-5"))
    own_format = "bedrock" if wire == "bedrock" else "anthropic"
    item = {"type": "reasoning.text", "text": "hm", "signature": SECRET, "format": own_format}
    message = {
        "role": "assistant",
        "content": None,
        "reasoning_details": [item],
        "tool_calls": [CALL],
    }
    fields = {"tools": TOOLS, "reasoning_effort": "high", "max_tokens": 40_000}
    own = mark_message(message, DIALECTS[wire].issuer(old))
    assert "budget_tokens" in send(old, own, RESULT, **fields)[0]
    body, omitted = send(old, mark_message(message, "minimax"), RESULT, **fields)
    assert "budget_tokens" not in body
    assert "reasoning_effort" in omitted


@each("text", ["", None])
@each("wire", KEEPS_SIGNED)
def test_an_empty_signature_is_none(wire: str, text: str | None) -> None:
    """Claude Code sends it for a thought that had none (2.1.197, 2026-11)."""
    target = build_own_target(wire)
    message = build_signed(wire, issued_by=DIALECTS[wire].issuer(target))
    empty = json.loads(json.dumps(message).replace(f'"{SECRET}"', json.dumps(text)))
    del empty["provider_content"]
    body, _ = send(target, empty, RESULT)
    for member in ("signature", "thoughtSignature", "data", "encrypted_content"):
        assert f'"{member}": ""' not in body
        assert f'"{member}": null' not in body
    assert "redacted" not in body


def test_reasoning_text_stays_where_a_wire_takes_text() -> None:
    quirks = Quirks(reasoning_field="reasoning_content")
    for target in (
        build_own_target("openai", quirks=quirks),
        build_own_target("ollama"),
        build_own_target("cohere"),
    ):
        message = build_signed("anthropic", issued_by="anthropic")
        del message["tool_calls"], message["images"]
        assert '"hm"' in send(target, message, LATER)[0]


def test_a_vendors_own_reasoning_goes_back_as_the_client_wrote_it() -> None:
    """Without a mark, as from a client that talked to OpenRouter itself."""
    item = {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "x-v1", "index": 0}
    quirks = Quirks(extensions=frozenset({"reasoning_details"}))
    router, other = (build_own_target("openai", name, quirks=quirks) for name in ("router", "o"))
    message = {"role": "assistant", "content": "Hi", "reasoning_details": [item]}
    for mark, is_sent in ((None, True), ("router", True), ("o", False)):
        sent = message if mark is None else mark_message(message, mark)
        built = json.loads(send(router, sent, LATER)[0])["messages"][1]
        assert built.get("reasoning_details") == ([item] if is_sent else None)
    assert "reasoning_details" not in send(other, mark_message(message, "router"), LATER)[0]


def test_blocks_that_a_client_wrote_are_not_touched() -> None:
    block = {"format": "anthropic", "block": {"type": "search_result", "title": "t"}}
    message = {"role": "user", "content": "b", "provider_content": [block]}
    body, omitted = send(build_own_target("anthropic"), message)
    assert "search_result" in body
    assert omitted == ()


# --- marks in replies ----------------------------------------------------------------------------


def find_marked(message: dict[str, Any]) -> list[Any]:
    """All that must have a mark."""
    extras = [
        members
        for name in ("tool_calls", "images")
        for item in message.get(name) or ()
        for members in (item.get("extra_content") or {}).values()
    ]
    lists = [message.get(name) or [] for name in ("reasoning_details", "provider_content")]
    return [item for items in lists for item in items] + extras


@for_each(with_members("reply", "expected"))
def test_a_reply_names_the_issuer_once_for_each_item(case: dict[str, Any]) -> None:
    """Complete or streamed, and joined as clients join it, whose texts would grow."""
    dialect, target = DIALECTS[case["provider"]["dialect"]], build_target(case)
    reply = dialect.response(deepcopy(case["reply"]), target)
    marked = [item for choice in reply["choices"] for item in find_marked(choice["message"])]
    raw = read_stream(case)
    if raw:
        decoder, parser = DECODERS[dialect.framing](), dialect.stream(target)
        events = [*decoder.feed(raw), *decoder.close()]
        chunks = [chunk for event in events for chunk in parser.feed(event)]
        choices = fold([*chunks, *parser.close()])
        marked += [item for choice in choices for item in find_marked(choice["message"])]
        marks = json.dumps(chunks).count('"issued_by"')
        assert marks <= sum(len(find_marked(choice["message"])) for choice in choices)
    assert {item["issued_by"] for item in marked} <= {dialect.issuer(target)}


def test_the_recordings_have_marks_on_every_wire_that_signs() -> None:
    """Otherwise the test above would say nothing of a wire."""
    wires = {
        case["provider"]["dialect"]
        for _, case in recorded_cases("reply", "expected")
        for choice in case["expected"]["choices"]
        if find_marked(choice["message"])
    }
    assert wires >= {"anthropic", "bedrock", "cohere", "gemini", "openai", "openai_responses"}


def test_a_mark_is_not_repeated_in_the_pieces_of_one_item() -> None:
    details = [
        {"type": "reasoning.text", "text": text, "format": "x-v1", "index": 0} for text in "ABC"
    ]
    events = [
        {"id": "g", "choices": [{"index": 0, "delta": {"reasoning_details": [item]}}]}
        for item in details
    ]
    target = build_own_target("openai", "router")
    parser = DIALECTS["openai"].stream(target)
    editor = DIALECTS["openai"].editor(target, {})
    assert editor is not None
    for reader in (parser, editor):
        sent = [
            getattr(item, "chunk", item)
            for event in events
            for item in reader.feed(Event("", json.dumps(event)))
        ]
        marks = [
            item.get("issued_by")
            for chunk in sent
            for item in chunk["choices"][0]["delta"]["reasoning_details"]
        ]
        assert marks == ["router", None, None]


def test_only_events_that_get_a_mark_are_encoded_again() -> None:
    head = {"id": "g", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas = [
        {"role": "assistant", "content": "a"},
        {"tool_calls": [{"index": 0, **CALL, "extra_content": {"google": {"thought_signature": "s"}}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
    ]  # fmt: skip
    editor = DIALECTS["openai"].editor(build_own_target("openai", "google"), {})
    assert editor is not None
    events = [
        item
        for delta in deltas
        for item in editor.feed(
            Event(
                "",
                json.dumps(
                    {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
                ),
            )
        )
    ]
    assert [event.data is None for event in events] == [False, True, False]
    call = events[1].chunk["choices"][0]["delta"]["tool_calls"][0]
    assert call["extra_content"] == {"google": {"thought_signature": "s", "issued_by": "google"}}


def test_a_client_can_send_the_marks_back() -> None:
    message = build_signed("gemini", issued_by="p")
    chat, left_out = ChatCompletionSerializer().check(
        {"model": "m", "messages": [QUESTION, json.loads(json.dumps(message)), RESULT]}
    )
    assert chat["messages"][1] == message
    assert left_out == []


class OneAccount(OpenAI):
    """A site's dialect for providers that share an account, and so accept each other's."""

    name = "one_account"

    def issuer(self, target: Target) -> str:
        return "our-account"

    def response(self, body: Any, target: Target) -> Any:
        return super().response({**body, "model": "x"}, target)


def test_a_sites_dialect_says_who_issues() -> None:
    item = {"type": "reasoning.text", "text": "hm", "format": "x-v1", "index": 0}
    message = {"role": "assistant", "content": "Hi", "reasoning_details": [item]}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    quirks = Quirks(extensions=frozenset({"reasoning_details"}))
    one, other = (
        Target(Provider(name, "one_account", "https://api.example/v1", quirks=quirks), "m")
        for name in ("one", "other")
    )
    reply = OneAccount().response(body, one)
    [choice] = reply["choices"]
    assert choice["message"]["reasoning_details"] == [{**item, "issued_by": "our-account"}]
    chat: Any = {"model": "m", "messages": [QUESTION, choice["message"], LATER]}
    sent = OneAccount().request(chat, other).body["messages"][1]
    assert sent["reasoning_details"] == [item]
    assert message["reasoning_details"] == [item], "the provider's body was changed"


def test_the_maker_behind_an_inference_profile_is_its_issuer() -> None:
    provider = Provider("p", "bedrock", "https://api.example/v1")
    profile = "arn:aws:bedrock:us-east-1:1:application-inference-profile/x"
    target = Target(provider, profile, base_model=MODELS["bedrock"])
    assert DIALECTS["bedrock"].issuer(target) == "p/anthropic"
    assert DIALECTS["bedrock"].call_id_rule(target).pattern.fullmatch("functions.f:0") is None
