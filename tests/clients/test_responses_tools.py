"""Tools that only Responses have, with every other wire: those in a namespace, and custom tools,
whose input is free text. The client sees its own names and kinds, and its next turn is understood.
"""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.clients.conftest import Gateway
from tests.clients.model import Call, ModelInput, ModelOutput
from tests.clients.test_openai_responses_sdk import Ask, as_input, complete, streamed

PATCH = '*** Begin Patch\n+ "é" \\ 😀\n*** End Patch\n'
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
TOOLS: list[Any] = [
    {
        "type": "namespace",
        "name": "mcp__hub.v2",
        "description": "The hub.",
        "tools": [
            {"type": "function", "name": "search", "parameters": SCHEMA, "strict": False},
        ],
    },
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "Edits files.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
    },
    {"type": "web_search", "external_web_access": False},
]


def call_every_tool(model_input: ModelInput) -> ModelOutput:
    if model_input.turns[-1].results:
        return ModelOutput("Done.", thought="Nothing is left.")
    calls = [
        Call(name, {"q": "cats"} if name.endswith("search") else {"input": PATCH})
        for name in model_input.tools
    ]
    return ModelOutput("Let me see.", tuple(calls), "Two tools: two calls.")


@pytest.fixture
def client(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Any:
    if gateway.wire == "openai_responses":
        pytest.skip("This provider gets the tools as they are.")
    monkeypatch.setattr(gateway.upstream, "generate", call_every_tool, raising=False)
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.site.key, max_retries=0) as sdk:
        yield sdk


@pytest.mark.parametrize("ask", [complete, streamed])
def test_a_turn_with_tools_of_every_kind(
    gateway: Gateway, client: openai.OpenAI, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ask.__globals__["OPTIONS"], "tools", TOOLS)
    items: list[Any] = [{"role": "user", "content": "Change it."}]
    response = ask(client, gateway.model, items)
    search, patch = (item for item in response.output if item.type.endswith("_call"))
    assert (search.type, search.name, search.namespace) == (
        "function_call",
        "search",
        "mcp__hub.v2",
    )
    assert (patch.type, patch.name, patch.input) == ("custom_tool_call", "apply_patch", PATCH)
    items += [
        *as_input(response),
        {"type": "function_call_output", "call_id": search.call_id, "output": "found"},
        {"type": "custom_tool_call_output", "call_id": patch.call_id, "output": "patched"},
    ]
    assert ask(client, gateway.model, items).output_text == "Done."
    assert gateway.upstream.refusals == []
    returned, results = gateway.upstream.inputs[-1].turns[-2:]
    assert [call.arguments for call in returned.calls] == [{"q": "cats"}, {"input": PATCH}]
    assert ["found" in results.results[0].text, "patched" in results.results[1].text] == [True] * 2
    assert returned.thoughts or not gateway.can_think
