"""A finished body names nothing that a provider stores, and has no URL if the provider is internal,
whichever way they came in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.shared.body_inspection import is_plain_request, is_url
from native_api.exceptions import UnsupportedField
from native_api.types import Provider
from native_api.upstream.files.inline import refuse_addresses
from tests.dialects.test_gateway_owned import (
    HI,
    USER_BLOCKS,
    build_body,
    build_target,
    catch_refusal,
)

# --- state at a provider -------------------------------------------------------------------------

OPTIONS_WITH_STATE = {
    "openai": [
        {"extra_body": {"google": {"cached_content": "cachedContents/1"}}},
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]},
            ],
        },
    ],
    "openai_responses": [
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
        {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
        {
            "tools": [
                {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}},
            ],
        },
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"id": "msg_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
    ],
    "anthropic": [
        {"tools": [{"type": "code_execution_20250825", "name": "c", "container": "c1"}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "container_upload", "file_id": "file_1"}]},
            ],
        },
        {"system": [{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]},
    ],
    "gemini": [
        {"cached_content": "cachedContents/1"},
        {"tools": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/1"]}}]},
        {"tools": [{"retrieval": {"vertexAiSearch": {"datastore": "projects/1"}}}]},
        {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": "gs://bucket/a.png"}}]}]},
        {"contents": [{"role": "user", "parts": [{"file_data": {"file_uri": "files/abc"}}]}]},
    ],
    "bedrock": [{"system": [{"document": {"source": {"s3Location": {"uri": "s3://bucket/a.pdf"}}}}]}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("wire", "options"),
    [(wire, options) for wire, each in OPTIONS_WITH_STATE.items() for options in each],
)
def test_an_option_cannot_name_stored_state(wire: str, options: Any) -> None:
    assert (catch_refusal(wire, options).param or "").startswith("provider_options.p.")
    if "cached_content" not in options:
        assert build_body(wire, options, build_target(wire, own_account=True))


BLOCKS = {
    "openai_responses": [
        {
            "type": "code_interpreter_call",
            "id": "ci_1",
            "code": "1",
            "container_id": "cntr_1",
            "status": "completed",
        },
        {"type": "item_reference", "id": "msg_1"},
        {"id": "msg_1"},
    ],
    "anthropic": [
        {
            "type": "code_execution_tool_result",
            "tool_use_id": "t",
            "content": {"content": [{"file_id": "file_1"}]},
        },
        {"type": "container_upload", "file_id": "file_1"},
    ],
    "gemini": [
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}
    ],
    "bedrock": [
        {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/a.mp4"}}}}
    ],
}


def find_issuer(wire: str) -> str:
    return DIALECTS[wire].issuer(build_target(wire))


@pytest.mark.parametrize(
    ("wire", "block", "role"),
    [
        (wire, block, role)
        for wire, blocks in BLOCKS.items()
        for block in blocks
        for role in (("user", "assistant") if wire in USER_BLOCKS else ("assistant",))
    ],
)
def test_a_wires_own_block_cannot_name_stored_state(wire: str, block: Any, role: str) -> None:
    message = {
        "role": role,
        "content": "a",
        "provider_content": [
            {"format": wire, "index": 0, "block": block, "issued_by": find_issuer(wire)}
        ],
    }
    error = catch_refusal(wire, messages=[*HI, message, *HI])
    assert (error.param or "").startswith("messages[1].provider_content[0].block")


PARTS = [
    ("openai", {"type": "file", "file": {"file_id": "file-1"}}, "file.file_id"),
    ("openai_responses", {"type": "file", "file": {"file_id": "file-1"}}, "file.file_id"),
    ("anthropic", {"type": "file", "file": {"file_id": "file_1"}}, "file.file_id"),
    ("gemini", {"type": "file", "file": {"file_id": "abc1"}}, "file.file_id"),
    ("gemini", {"type": "file", "file": {"file_url": "gs://bucket/a.pdf"}}, "file.file_url"),
    ("bedrock", {"type": "image_url", "image_url": {"url": "s3://bucket/a.png"}}, "image_url.url"),
]


@pytest.mark.parametrize(("wire", "part", "member"), PARTS)
def test_a_part_cannot_name_stored_state(wire: str, part: Any, member: str) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Read."}, part]}]
    assert catch_refusal(wire, messages=messages).param == f"messages[0].content[1].{member}"
    assert build_body(wire, target=build_target(wire, own_account=True), messages=messages)


def test_an_earlier_audio_cannot_be_named() -> None:
    error = catch_refusal(
        "openai",
        messages=[*HI, {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}, *HI],
    )
    assert error.param == "messages[1].audio.id"


@pytest.mark.parametrize("wire", DIALECTS)
def test_a_clients_own_data_is_not_inspected(wire: str) -> None:
    """Arguments, results and schemas of the client's tools, and text, may contain such names."""
    names = {"file_id": "file-1", "container": "c", "uri": "s3://a/b", "url": "http://10.0.0.1/"}
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "f", "arguments": json.dumps(names)},
    }
    parameters = {
        "type": "object",
        "properties": {
            "file_id": {"type": "string"},
            "url": {"type": "string", "const": "http://10.0.0.1/"},
        },
    }
    messages = [
        {"role": "user", "content": "http://10.0.0.1/ and s3://a/b"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": json.dumps(names)},
    ]
    tools = [
        {
            "type": "function",
            "function": {"name": "f", "description": "http://10.0.0.1/", "parameters": parameters},
        }
    ]
    chat: Any = {"model": "m", "messages": messages, "tools": tools}
    refuse_addresses(
        DIALECTS[wire].request(chat, build_target(wire)).body,
        chat,
        Provider("p", wire, "http://10.0.0.5/v1"),
    )


PLAIN_MESSAGES: Any = [
    {"role": "system", "content": "a", "name": "b"},
    {
        "role": "user",
        "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "c", "content": "ok", "is_error": False},
]
ODD_MESSAGES: Any = [
    {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}],
    },
    {"role": "user", "content": "a", "provider_content": []},
    {"role": "assistant", "content": None, "audio": {"id": "a"}},
    {"role": "assistant", "content": "a", "reasoning_details": []},
    {"role": "assistant", "content": "a", "images": []},
    {"role": "assistant", "content": "a", "annotations": []},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "extra_content": {}}]},
    {"role": "user", "content": "a", "unheard_of": 1},
]


@pytest.mark.parametrize("message", PLAIN_MESSAGES)
def test_text_and_calls_need_no_inspection(message: Any) -> None:
    assert is_plain_request(
        {"model": "m", "messages": [message], "tools": [], "response_format": {}, "stream": True}
    )


@pytest.mark.parametrize("message", ODD_MESSAGES)
def test_any_other_member_of_a_message_is_inspected(message: Any) -> None:
    assert not is_plain_request({"model": "m", "messages": [*PLAIN_MESSAGES, message]})


@pytest.mark.parametrize(
    "field", ["provider_options", "audio", "prediction", "web_search_options", "unheard_of"]
)
def test_any_other_field_of_a_request_is_inspected(field: str) -> None:
    assert not is_plain_request({"model": "m", "messages": HI, field: {}})


# --- URLs ----------------------------------------------------------------------------------------

INTERNAL_URL = "http://169.254.169.254/latest/meta-data"
OPTIONS_WITH_URLS = {
    "openai": [
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": INTERNAL_URL}}],
                }
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "video_url", "video_url": {"url": INTERNAL_URL}}],
                }
            ]
        },
        {
            "messages": [
                {"role": "user", "content": [{"type": "file", "file": {"file_data": INTERNAL_URL}}]}
            ]
        },
        {"mm_processor": {"urls": [INTERNAL_URL]}},
        {"mm_processor": {"urls": [[["a", INTERNAL_URL]]]}},
        {"mm_processor": [[{"url": INTERNAL_URL}]]},
    ],
    "openai_responses": [
        {
            "input": [
                {"role": "user", "content": [{"type": "input_image", "image_url": INTERNAL_URL}]}
            ]
        },
        {"tools": [{"type": "mcp", "server_label": "a", "server_url": INTERNAL_URL}]},
    ],
    "anthropic": [
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image", "source": {"type": "url", "url": INTERNAL_URL}}],
                }
            ]
        },
        {"tools": [{"type": "mcp_toolset", "url": INTERNAL_URL}]},
    ],
    "gemini": [
        {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": INTERNAL_URL}}]}]}
    ],
    "bedrock": [{"system": [{"image": {"source": {"url": INTERNAL_URL}}}]}],
    "cohere": [
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": INTERNAL_URL}}],
                }
            ]
        }
    ],
    "ollama": [{"messages": [{"role": "user", "content": "a", "images": [INTERNAL_URL]}]}],
}


@pytest.mark.parametrize(
    ("wire", "options"),
    [(wire, options) for wire, each in OPTIONS_WITH_URLS.items() for options in each],
)
def test_no_url_reaches_an_internal_provider_in_an_option(wire: str, options: Any) -> None:
    chat: Any = {"model": "m", "messages": HI, "provider_options": {"p": options}}
    internal, public = build_target(wire, "http://10.0.0.5:8000/v1"), build_target(wire)
    with pytest.raises(UnsupportedField) as caught:
        refuse_addresses(DIALECTS[wire].request(chat, internal).body, chat, internal.provider)
    assert (caught.value.param or "").startswith("provider_options.p.")
    refuse_addresses(DIALECTS[wire].request(chat, public).body, chat, public.provider)


@pytest.mark.parametrize("wire", ["openai_responses", "anthropic", "gemini", "bedrock"])
def test_no_url_reaches_an_internal_provider_in_a_block(wire: str) -> None:
    block = {"type": "image", "source": {"url": INTERNAL_URL}}
    item = {"format": wire, "index": 0, "block": block, "issued_by": find_issuer(wire)}
    role = "user" if wire in USER_BLOCKS else "assistant"
    chat: Any = {
        "model": "m",
        "messages": [{"role": role, "content": "a", "provider_content": [item]}, *HI],
    }
    internal = build_target(wire, "http://10.0.0.5:8000/v1")
    with pytest.raises(UnsupportedField) as caught:
        refuse_addresses(DIALECTS[wire].request(chat, internal).body, chat, internal.provider)
    assert caught.value.param == "messages[0].provider_content[0].block.source.url"


@pytest.mark.parametrize(
    "text",
    [
        INTERNAL_URL, " http://a", "\x00\x1fhttp://a", "HTTP://a", "ht\ntp://a", "http:/a",
        "http:a", "https:\\\\a", "file:///etc/passwd", "ftp://a", "//169.254.169.254/",
        "\\\\server\\share", "gopher://a", "ws:a",
    ],
)  # fmt: skip
def test_everything_a_url_parser_accepts_is_a_url(text: str) -> None:
    assert is_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "data:image/png;base64,AAAA",
        "//uQxAAAAAAAAAAAAAA",
        "iVBORw0KGgo=",
        "gpt-4o:free",
        "a b",
        "",
        "10.0.0.1",
    ],
)
def test_data_and_plain_text_are_not_urls(text: str) -> None:
    assert not is_url(text)
