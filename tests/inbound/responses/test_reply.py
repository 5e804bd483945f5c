"""What a complete response says of its request, and how members of a reply become its items."""

from __future__ import annotations

import json
from typing import Any

from native_api.inbound.openai.responses.reply import build_response
from tests.cases import each
from tests.inbound.responses.reading import parse_request, read_response

PNG = "iVBORw0KGgo="


def respond(message: Any, body: Any = None, **choice: Any) -> Any:
    """The response for a reply with this message, which the SDK accepts."""
    made = {
        "index": 0,
        "message": {"role": "assistant", "content": None, **message},
        "finish_reason": "stop",
        **choice,
    }
    completion = {"id": "chatcmpl-1", "created": 5, "model": "m-1", "choices": [made]}
    response = build_response(parse_request(body), completion)
    read_response(response)
    return response


def function_call(name: str, **members: Any) -> Any:
    function = {"name": name, "arguments": "{}"}
    return {"id": "call_1", "type": "function", "function": function, **members}


# --- the request ---------------------------------------------------------------------------------


@each(
    "name, value",
    [
        ("instructions", "Be brief."),
        ("max_output_tokens", 100),
        ("metadata", {"a": "b"}),
        ("parallel_tool_calls", False),
        ("temperature", 0.5),
        ("tool_choice", "none"),
        ("top_logprobs", 2),
        ("top_p", 0.5),
        ("truncation", "auto"),
        ("safety_identifier", "user-1"),
        ("prompt_cache_key", "key-1"),
    ],
)
def test_the_response_repeats_what_the_request_says(name: str, value: Any) -> None:
    assert respond({"content": "Hi"}, {name: value})[name] == value


def test_what_a_request_leaves_out_has_the_defaults_of_the_api() -> None:
    response = respond({"content": "Hi"}, {"reasoning": {"effort": "low"}, "text": {}})
    assert response["reasoning"] == {"effort": "low", "summary": None}
    assert response["text"] == {"format": {"type": "text"}}
    assert (response["temperature"], response["tool_choice"], response["tools"]) == (
        1.0,
        "auto",
        [],
    )
    assert response["store"] is False


def test_nothing_says_what_a_server_of_tools_is_called_with() -> None:
    tool = {
        "type": "mcp",
        "server_label": "files",
        "server_url": "https://files.example",
        "authorization": "secret",
        "headers": {"x-key": "secret"},
    }
    response = respond({"content": "Hi"}, {"tools": [tool]})
    assert response["tools"][0]["server_label"] == "files"
    assert "secret" not in json.dumps(response)


def test_the_ids_are_those_of_the_reply_and_each_is_another() -> None:
    message = {"content": "Hi", "tool_calls": [function_call("look")]}
    first, second = respond(message), respond(message)
    assert first == second
    ids = [first["id"], *(item["id"] for item in first["output"])]
    assert len(set(ids)) == 3
    assert [name.partition("_")[0] for name in ids] == ["resp", "msg", "fc"]


# --- items ---------------------------------------------------------------------------------------


def test_a_tool_in_a_namespace_has_its_own_name_again() -> None:
    inner = {"type": "function", "name": "look", "parameters": {"type": "object"}}
    tool = {"type": "namespace", "name": "maps", "description": "Maps.", "tools": [inner]}
    parsed = parse_request({"tools": [tool]})
    assert parsed.client_body is not None
    [unified] = parsed.client_body.unified["tools"]
    response = respond(
        {"tool_calls": [function_call(unified["function"]["name"])]}, {"tools": [tool]}
    )
    [item] = response["output"]
    assert (item["namespace"], item["name"]) == ("maps", "look")


def test_a_custom_call_has_its_input() -> None:
    call = {"id": "call_1", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    [item] = respond({"tool_calls": [call]})["output"]
    assert item["type"] == "custom_tool_call"
    assert (item["call_id"], item["name"], item["input"]) == ("call_1", "patch", "*** Begin")


def test_the_signature_of_a_call_stands_before_it() -> None:
    extra = {"google": {"thought_signature": "s", "issued_by": "p"}}
    message = {"content": "Hi", "tool_calls": [function_call("look", extra_content=extra)]}
    output = respond(message)["output"]
    assert [item["type"] for item in output] == ["message", "reasoning", "function_call"]
    assert output[1]["summary"] == []
    assert output[1]["encrypted_content"].startswith("nseal1.")


def test_items_stand_where_they_stood_in_the_reply() -> None:
    message = {
        "content": "First. Second.",
        "reasoning_content": "A\n\nB",
        "tool_calls": [function_call("look")],
        "reasoning_details": [
            {"type": "reasoning.text", "text": "A", "format": "anthropic", "index": 0},
            {"type": "reasoning.text", "text": "B", "format": "anthropic", "index": 1,
             "at": 7, "calls": 1},
        ],
    }  # fmt: skip
    output = respond(message)["output"]
    assert [item["type"] for item in output] == [
        "reasoning",
        "message",
        "function_call",
        "reasoning",
        "message",
    ]
    assert [item["summary"][0]["text"] for item in output if "summary" in item] == ["A", "B"]
    assert [item["content"][0]["text"] for item in output if "content" in item] == [
        "First. ",
        "Second.",
    ]


def test_a_citation_is_counted_from_its_own_text() -> None:
    mark = {"format": "anthropic", "index": 0, "block": {}, "at": 7, "calls": 1}
    citation = {"url": "https://a.example", "title": "A", "start_index": 7, "end_index": 13}
    message = {
        "content": "First. Second.",
        "tool_calls": [function_call("look")],
        "provider_content": [mark],
        "annotations": [{"type": "url_citation", "url_citation": citation}],
    }
    messages = [item for item in respond(message)["output"] if item["type"] == "message"]
    first, second = [item["content"][0]["annotations"] for item in messages]
    assert first == []
    assert second == [{"type": "url_citation", **citation, "start_index": 0, "end_index": 6}]


def test_a_refusal_is_a_part_of_its_own() -> None:
    [item] = respond({"content": "Well.", "refusal": "No."})["output"]
    assert [part["type"] for part in item["content"]] == ["output_text", "refusal"]
    assert item["content"][1]["refusal"] == "No."


def test_an_image_is_an_item_with_its_data() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    [item] = respond({"images": [image]})["output"]
    assert (item["type"], item["output_format"], item["result"]) == (
        "image_generation_call",
        "png",
        PNG,
    )


def test_an_image_elsewhere_is_a_link() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://a.example/1.png"}}
    [item] = respond({"content": "See ", "images": [image]})["output"]
    assert item["content"][0]["text"] == "See ![image](https://a.example/1.png)"


def test_log_probabilities_have_all_members_that_clients_require() -> None:
    tokens = [{"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}]
    [item] = respond({"content": "Hi"}, logprobs={"content": tokens})["output"]
    assert item["content"][0]["logprobs"] == [
        {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    ]


def test_a_reply_that_says_nothing_has_no_items() -> None:
    response = respond({})
    assert response["output"] == []
    assert response["status"] == "completed"
    assert response["usage"] is None
