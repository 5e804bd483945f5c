"""A reply that is not text and one call goes to every wire as part of the next request: parallel
calls, blocks of server tools, encrypted thinking, refusals, thinking that was cut, empty content."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from native_api.dialects import DIALECTS
from native_api.inbound.openai import ChatCompletionSerializer
from tests.cases import for_each
from tests.corpus import iterate_strings
from tests.dialects.strict_providers import SIGNED, StrictProvider, as_client
from tests.dialects.test_moving import IMAGE, TOOL, build_providers

Edit = Callable[[StrictProvider, Any], None]
BLANK = {"type": "text", "text": "\n"}
SEARCH = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "a"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [
            {"type": "web_search_result", "url": "https://x.example", "title": "t",
             "encrypted_content": "e", "page_age": None},
        ],
    },
]  # fmt: skip
CODE = [
    {"executableCode": {"language": "PYTHON", "code": "1"}},
    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
]
WEB_SEARCH_CALL = {
    "type": "web_search_call", "id": "ws_1", "status": "completed",
    "action": {"type": "search", "query": "a"},
}  # fmt: skip


def repeat_last(items: list[Any], **members: Any) -> None:
    items.append({**items[-1], **members})


def refuse(reply: Any) -> None:
    choice = reply["choices"][0]
    choice["message"] = {"role": "assistant", "content": None, "refusal": "No."}
    choice["finish_reason"] = "stop"


def read_bedrock(reply: Any) -> list[Any]:
    content: list[Any] = reply["output"]["message"]["content"]
    return content


def read_gemini(reply: Any) -> list[Any]:
    parts: list[Any] = reply["candidates"][0]["content"]["parts"]
    return parts


def read_message(reply: Any) -> Any:
    return reply["choices"][0]["message"]


ANTHROPIC: dict[str, Edit] = {
    "encrypted thinking": lambda provider, reply: reply["content"].insert(
        0, {"type": "redacted_thinking", "data": provider.sign()}
    ),
    "parallel calls": lambda _, reply: repeat_last(reply["content"], id="toolu_x"),
    "a server tool": lambda _, reply: reply["content"].__setitem__(slice(1, 1), SEARCH),
    "a refusal": lambda _, reply: reply.update(content=[], stop_reason="refusal"),
    "cut thinking": lambda _, reply: reply.update(
        content=reply["content"][:1], stop_reason="max_tokens"
    ),
    "blank text": lambda _, reply: reply["content"].__setitem__(1, BLANK),
}
EDITS: dict[str, dict[str, Edit]] = {
    "anthropic": ANTHROPIC,
    "anthropic_vertex": ANTHROPIC,
    "bedrock": {
        "encrypted thinking": lambda provider, reply: read_bedrock(reply).insert(
            0, {"reasoningContent": {"redactedContent": provider.sign()}}
        ),
        "parallel calls": lambda _, reply: read_bedrock(reply).append(
            {"toolUse": {"toolUseId": "tooluse_x", "name": "look", "input": {}}}
        ),
        "nothing": lambda _, reply: read_bedrock(reply).clear(),
        "cut thinking": lambda _, reply: read_bedrock(reply).__delitem__(slice(1, None)),
        "blank text": lambda _, reply: read_bedrock(reply).__setitem__(1, {"text": "\n"}),
    },
    "gemini": {
        "parallel calls": lambda _, reply: read_gemini(reply).append(
            {"functionCall": {"id": "fc-x", "name": "look", "args": {}}}
        ),
        "a server tool": lambda _, reply: read_gemini(reply).__setitem__(slice(1, 1), CODE),
        "a call without an id": lambda _, reply: read_gemini(reply)[2]["functionCall"].pop("id"),
        "cut thinking": lambda _, reply: read_gemini(reply).__delitem__(slice(1, None)),
        "a refusal": lambda _, reply: reply.update(candidates=[{"finishReason": "SAFETY"}]),
    },
    "openai_responses": {
        "parallel calls": lambda _, reply: repeat_last(reply["output"], id="fc_x", call_id="x"),
        "a server tool": lambda _, reply: reply["output"].insert(1, WEB_SEARCH_CALL),
        "a refusal": lambda _, reply: reply["output"].__setitem__(
            slice(1, None),
            [
                {
                    "type": "message", "id": "msg_x", "role": "assistant", "status": "completed",
                    "content": [{"type": "refusal", "refusal": "No."}],
                }
            ],
        ),
        "cut thinking": lambda _, reply: reply.update(
            output=reply["output"][:1],
            status="incomplete",
            incomplete_details={"reason": "max_output_tokens"},
        ),
    },
    "openai": {
        "parallel calls of one id": lambda _, reply: repeat_last(read_message(reply)["tool_calls"]),
        "a call without an id": lambda _, reply: read_message(reply)["tool_calls"][0].update(id=""),
        "arguments that are null": lambda _, reply: read_message(reply)["tool_calls"][0][
            "function"
        ].update(arguments="null"),
        "a refusal": lambda _, reply: refuse(reply),
        "nothing": lambda _, reply: reply["choices"][0].update(
            message={"role": "assistant", "content": None}, finish_reason="length"
        ),
        "empty content": lambda _, reply: read_message(reply).update(content=""),
    },
    "cohere": {
        "parallel calls": lambda _, reply: repeat_last(reply["message"]["tool_calls"], id="x"),
        "a plan": lambda _, reply: reply["message"].update(content=[], tool_plan="I plan."),
        "cut thinking": lambda _, reply: reply["message"].pop("tool_calls"),
    },
    "ollama": {
        "parallel calls": lambda _, reply: repeat_last(reply["message"]["tool_calls"]),
        "cut thinking": lambda _, reply: reply["message"].update(content="", tool_calls=[]),
    },
}  # fmt: skip


def list_cases() -> list[tuple[str, tuple[int, str]]]:
    return [
        (f"{provider}: {name}", (number, name))
        for number, provider in enumerate(build_providers())
        for name in EDITS[provider.dialect]
    ]


@for_each(list_cases)
def test_an_odd_reply_is_part_of_the_next_request_on_every_wire(case: tuple[int, str]) -> None:
    number, name = case
    wires = {type(provider): place for place, provider in enumerate(build_providers())}
    for other in {number, *wires.values()}:
        providers = build_providers()
        first, second = providers[number], providers[other]
        reply = first.build_reply(0)
        EDITS[first.dialect][name](first, reply)
        messages = build_messages(first, as_client(reply))
        check_next_request(second, messages, is_other=other != number)


def build_messages(provider: StrictProvider, reply: Any) -> list[Any]:
    """The conversation with the reply, and the results of its calls or the user's next words."""
    unified = DIALECTS[provider.dialect].response(reply, provider.target)
    message = as_client(unified["choices"][0]["message"])
    calls = message.get("tool_calls") or []
    for number, call in enumerate(calls):
        # The gateway fills in the ids that a wire does not have.
        call["id"] = call["id"] or f"call_{number}made"
    content = [{"type": "text", "text": "It is green."}, IMAGE]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": content} for call in calls]
    return [{"role": "user", "content": content}, message] + (
        results or [{"role": "user", "content": "Go on."}]
    )


def check_next_request(provider: StrictProvider, messages: list[Any], is_other: bool) -> None:
    chat, _ = ChatCompletionSerializer().check(
        as_client({"model": "m", "messages": messages, "tools": [TOOL], "reasoning_effort": "low"})
    )
    before = json.dumps(chat)
    body = as_client(DIALECTS[provider.dialect].request(chat, provider.target).body)
    assert json.dumps(chat) == before
    provider.check_types(body)
    steps = list(provider.read_steps(body))
    calls = [call_id for kind, call_id in steps if kind == "call"]
    assert calls == [call_id for kind, call_id in steps if kind == "result"]
    assert len(calls) == len(set(calls)) == sum(each["role"] == "tool" for each in messages)
    assert "issued_by" not in json.dumps(body)
    if is_other:
        assert not [text for text in iterate_strings(body) if text.startswith(SIGNED)]
