"""What the gateway owns in a provider's body cannot be set by any way in, on any wire; what came with a request is not changed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.base import merge
from native_api.dialects.inspection import is_address, is_plain
from native_api.dialects.owned import OWNED, answers, output_limit, service_tier
from native_api.engine.remote_files import refuse_addresses
from native_api.exceptions import UnsupportedField
from native_api.types import Provider, Target

HI: Any = [{"role": "user", "content": "Hi"}]
MODELS = {"bedrock": "anthropic.claude-sonnet-4-5", "gemini": "gemini-2.5-pro", "openai_responses": "gpt-5"}
OPTIONS = {"anthropic_vertex": {"project": "p"}}
FOLDER = Path(__file__).resolve().parent.parent / "recordings"


def target(wire: str, base_url: str = "https://api.example/v1", **more: Any) -> Target:
    return Target(Provider("p", wire, base_url, options=OPTIONS.get(wire, {}), **more), MODELS.get(wire, "m"))


def body_of(wire: str, options: Any = None, at: Target | None = None, **fields: Any) -> Any:
    chat: Any = {"model": "m", "messages": HI, **fields}
    if options is not None:
        chat["provider_options"] = {"p": options}
    request = DIALECTS[wire].request(chat, at or target(wire))
    assert json.loads(request.content) == json.loads(json.dumps(request.body))
    return request.body


def refused(wire: str, options: Any = None, at: Target | None = None, **fields: Any) -> UnsupportedField:
    with pytest.raises(UnsupportedField) as caught:
        body_of(wire, options, at, **fields)
    return caught.value


# --- owned members -----------------------------------------------------------------------------------------


def nested(path: str, value: Any) -> Any:
    """`options.num_predict` -> {"options": {"num_predict": value}}; `tools[].model` -> {"tools": [{"model": value}]}."""
    first, _, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    return {first.removesuffix("[]"): [inner]} if first.endswith("[]") else {first: inner}


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def spellings(path: str) -> set[str]:
    """As Google's servers and Go's JSON decoder read names too."""
    return {path, snake(path), path.upper(), path.replace("_", "")}


VALUES = [None, 1, 0, -1, 100_000.0, "100000", True, False, [], {}, 10**30]


@pytest.mark.parametrize("wire", OWNED)
def test_no_option_sets_a_member_that_the_gateway_owns(wire: str) -> None:
    """Every member, in every spelling that a server may accept, with every kind of value."""
    for path in OWNED[wire]:
        for spelling in spellings(path):
            for value in VALUES:
                assert refused(wire, nested(spelling, value)).param == place(f"provider_options.p.{spelling}"), (spelling, value)


def place(path: str) -> str:
    return path.replace("[]", "[0]")


@pytest.mark.parametrize("wire", OWNED)
@pytest.mark.parametrize("value", [None, 0, "x", [1]], ids=str)
def test_no_option_puts_another_value_around_an_owned_member(wire: str, value: Any) -> None:
    """`{"generationConfig": null}` would remove the limit of the output."""
    for parent in {path.partition(".")[0] for path in OWNED[wire] if "." in path and "[]" not in path}:
        assert refused(wire, {parent: value}).param == f"provider_options.p.{parent}"


@pytest.mark.parametrize("wire", OWNED)
def test_what_a_provider_keeps_may_be_named_if_the_site_says_that_all_callers_share_it(wire: str) -> None:
    for path in [path for path, kind in OWNED[wire].items() if kind == "state"]:
        assert body_of(wire, nested(path, "x"), target(wire, own_account=True))


@pytest.mark.parametrize("wire", OWNED)
def test_other_options_are_merged(wire: str) -> None:
    assert body_of(wire, {"top_secret": {"a": [1]}})["top_secret"] == {"a": [1]}


@pytest.mark.parametrize("wire", OWNED)
def test_providers_are_asked_not_to_store(wire: str) -> None:
    request = DIALECTS[wire].request({"model": "m", "messages": HI, "store": True}, target(wire))
    assert request.body.get("store") in (None, False)
    assert request.omitted == ("store",)


@pytest.mark.parametrize("wire", ["openai", "openai_responses", "gemini"])
def test_a_provider_whose_account_all_callers_share_stores_what_a_client_wants_stored(wire: str) -> None:
    assert body_of(wire, at=target(wire, own_account=True), store=True)["store"] is True


@pytest.mark.parametrize("wire", OWNED)
def test_the_limit_and_the_number_of_answers_are_read_from_the_body_as_it_is_sent(wire: str) -> None:
    assert output_limit(wire, body_of(wire, max_completion_tokens=77)) == 77
    assert answers(wire, body_of(wire)) == 1
    if wire in ("openai", "gemini"):
        assert answers(wire, body_of(wire, n=3)) == 3


@pytest.mark.parametrize(("wire", "tier"), [("openai", "flex"), ("openai_responses", "flex"), ("gemini", "flex"), ("bedrock", "flex")])
def test_the_service_tier_is_read_from_the_body_as_it_is_sent(wire: str, tier: str) -> None:
    assert service_tier(wire, body_of(wire, service_tier=tier)) == tier
    assert service_tier(wire, body_of(wire)) == ""


# --- what a provider keeps ---------------------------------------------------------------------------------

KEPT_BY_OPTIONS = {
    "openai": [
        {"extra_body": {"google": {"cached_content": "cachedContents/1"}}},
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
    ],
    "openai_responses": [
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
        {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}]},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"id": "msg_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
    ],
    "anthropic": [
        {"tools": [{"type": "code_execution_20250825", "name": "c", "container": "c1"}]},
        {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "file_1"}]}]},
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


@pytest.mark.parametrize(("wire", "options"), [(wire, options) for wire, each in KEPT_BY_OPTIONS.items() for options in each])
def test_an_option_cannot_name_what_a_provider_keeps(wire: str, options: Any) -> None:
    assert (refused(wire, options).param or "").startswith("provider_options.p.")
    if "cached_content" not in options:
        assert body_of(wire, options, target(wire, own_account=True))


BLOCKS = {
    "openai_responses": [
        {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "cntr_1", "status": "completed"},
        {"type": "item_reference", "id": "msg_1"},
        {"id": "msg_1"},
    ],
    "anthropic": [
        {"type": "code_execution_tool_result", "tool_use_id": "t", "content": {"content": [{"file_id": "file_1"}]}},
        {"type": "container_upload", "file_id": "file_1"},
    ],
    "gemini": [{"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}],
    "bedrock": [{"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/a.mp4"}}}}],
}


USER_BLOCKS = ("anthropic", "gemini")
"""Wires that take blocks of their own in a user's message."""


@pytest.mark.parametrize(
    ("wire", "block", "role"),
    [
        (wire, block, role)
        for wire, blocks in BLOCKS.items()
        for block in blocks
        for role in (("user", "assistant") if wire in USER_BLOCKS else ("assistant",))
    ],
)
def test_a_block_of_the_wires_own_cannot_name_what_a_provider_keeps(wire: str, block: Any, role: str) -> None:
    message = {"role": role, "content": "a", "provider_content": [{"format": wire, "index": 0, "block": block}]}
    error = refused(wire, messages=[*HI, message, *HI])
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
def test_a_part_cannot_name_what_a_provider_keeps(wire: str, part: Any, member: str) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Read."}, part]}]
    assert refused(wire, messages=messages).param == f"messages[0].content[1].{member}"
    assert body_of(wire, at=target(wire, own_account=True), messages=messages)


def test_an_earlier_sound_cannot_be_named() -> None:
    error = refused("openai", messages=[*HI, {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}, *HI])
    assert error.param == "messages[1].audio.id"


@pytest.mark.parametrize("wire", OWNED)
def test_a_clients_own_data_may_hold_such_names(wire: str) -> None:
    """Arguments, results and schemas of the client's tools, and text."""
    names = {"file_id": "file-1", "container": "c", "uri": "s3://a/b", "url": "http://10.0.0.1/"}
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": json.dumps(names)}}
    parameters = {"type": "object", "properties": {"file_id": {"type": "string"}, "url": {"type": "string", "const": "http://10.0.0.1/"}}}
    messages = [
        {"role": "user", "content": "http://10.0.0.1/ and s3://a/b"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": json.dumps(names)},
    ]
    tools = [{"type": "function", "function": {"name": "f", "description": "http://10.0.0.1/", "parameters": parameters}}]
    chat: Any = {"model": "m", "messages": messages, "tools": tools}
    refuse_addresses(DIALECTS[wire].request(chat, target(wire)).body, chat, Provider("p", wire, "http://10.0.0.5/v1"))


PLAIN_MESSAGES: Any = [
    {"role": "system", "content": "a", "name": "b"},
    {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "c", "content": "ok", "is_error": False},
]
ODD_MESSAGES: Any = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]},
    {"role": "user", "content": "a", "provider_content": []},
    {"role": "assistant", "content": None, "audio": {"id": "a"}},
    {"role": "assistant", "content": "a", "reasoning_details": []},
    {"role": "assistant", "content": "a", "images": []},
    {"role": "assistant", "content": "a", "annotations": []},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "extra_content": {}}]},
    {"role": "user", "content": "a", "unheard_of": 1},
]


@pytest.mark.parametrize("message", PLAIN_MESSAGES)
def test_text_and_calls_need_not_be_looked_through(message: Any) -> None:
    assert is_plain({"model": "m", "messages": [message], "tools": [], "response_format": {}, "stream": True})


@pytest.mark.parametrize("message", ODD_MESSAGES)
def test_whatever_else_a_message_has_is_looked_through(message: Any) -> None:
    assert not is_plain({"model": "m", "messages": [*PLAIN_MESSAGES, message]})


@pytest.mark.parametrize("field", ["provider_options", "audio", "prediction", "web_search_options", "unheard_of"])
def test_whatever_else_a_request_has_is_looked_through(field: str) -> None:
    assert not is_plain({"model": "m", "messages": HI, field: {}})


# --- addresses ---------------------------------------------------------------------------------------------

INNER = "http://169.254.169.254/latest/meta-data"
BY_OPTIONS = {
    "openai": [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": INNER}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": INNER}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": INNER}}]}]},
        {"mm_processor": {"urls": [INNER]}},
    ],
    "openai_responses": [
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": INNER}]}]},
        {"tools": [{"type": "mcp", "server_label": "a", "server_url": INNER}]},
    ],
    "anthropic": [
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": INNER}}]}]},
        {"tools": [{"type": "mcp_toolset", "url": INNER}]},
    ],
    "gemini": [{"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": INNER}}]}]}],
    "bedrock": [{"system": [{"image": {"source": {"url": INNER}}}]}],
    "cohere": [{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": INNER}}]}]}],
    "ollama": [{"messages": [{"role": "user", "content": "a", "images": [INNER]}]}],
}


@pytest.mark.parametrize(("wire", "options"), [(wire, options) for wire, each in BY_OPTIONS.items() for options in each])
def test_no_address_reaches_a_provider_inside_by_an_option(wire: str, options: Any) -> None:
    chat: Any = {"model": "m", "messages": HI, "provider_options": {"p": options}}
    inside, outside = target(wire, "http://10.0.0.5:8000/v1"), target(wire)
    with pytest.raises(UnsupportedField) as caught:
        refuse_addresses(DIALECTS[wire].request(chat, inside).body, chat, inside.provider)
    assert (caught.value.param or "").startswith("provider_options.p.")
    refuse_addresses(DIALECTS[wire].request(chat, outside).body, chat, outside.provider)


@pytest.mark.parametrize("wire", ["openai_responses", "anthropic", "gemini", "bedrock"])
def test_no_address_reaches_a_provider_inside_by_a_block(wire: str) -> None:
    item = {"format": wire, "index": 0, "block": {"type": "image", "source": {"url": INNER}}}
    role = "user" if wire in USER_BLOCKS else "assistant"
    chat: Any = {"model": "m", "messages": [{"role": role, "content": "a", "provider_content": [item]}, *HI]}
    inside = target(wire, "http://10.0.0.5:8000/v1")
    with pytest.raises(UnsupportedField) as caught:
        refuse_addresses(DIALECTS[wire].request(chat, inside).body, chat, inside.provider)
    assert caught.value.param == "messages[0].provider_content[0].block.source.url"


@pytest.mark.parametrize(
    "text",
    [INNER, " http://a", "\x00\x1fhttp://a", "HTTP://a", "ht\ntp://a", "http:/a", "http:a", "https:\\\\a", "file:///etc/passwd",
     "ftp://a", "//169.254.169.254/", "\\\\server\\share", "gopher://a", "ws:a"],
)  # fmt: skip
def test_whatever_a_url_parser_takes_for_an_address_is_one(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text", ["data:image/png;base64,AAAA", "//uQxAAAAAAAAAAAAAA", "iVBORw0KGgo=", "gpt-4o:free", "a b", "", "10.0.0.1"]
)
def test_data_and_words_are_not_addresses(text: str) -> None:
    assert not is_address(text)


# --- nothing is changed ------------------------------------------------------------------------------------


class Frozen(dict[str, Any]):
    """An object that nobody may change."""

    def _refuse(self, *args: Any, **named: Any) -> Any:
        raise AssertionError("a value that others share was changed")

    __setitem__ = __delitem__ = __ior__ = pop = popitem = clear = update = setdefault = _refuse


class FrozenList(list[Any]):
    _refuse = Frozen._refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = append = extend = insert = pop = remove = clear = sort = reverse = _refuse  # type: ignore[assignment]


def frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return Frozen({name: frozen(member) for name, member in value.items()})
    return FrozenList(map(frozen, value)) if isinstance(value, list) else value


def recorded() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*/*.json")):
        case = json.loads(path.read_text())
        if "request" in case:
            yield pytest.param(case, id=f"{path.parent.name}-{path.stem}")


DEEP = {"generationConfig": {"topK": 3}, "toolConfig": {"x": {"y": 1}}, "output_config": {"format": {"schema": {"enum": ["pwned"]}}},
        "response_format": {"json_schema": {"schema": {"enum": ["pwned"]}}}, "text": {"format": {"schema": {"enum": ["pwned"]}}},
        "format": {"enum": ["pwned"]}, "logit_bias": {"1": 1}, "metadata": {"a": "b"}, "thinking": {"x": 1}, "options": {"x": {"y": 1}},
        "outputConfig": {"textFormat": {"structure": {"jsonSchema": {"name": "pwned"}}}}}  # fmt: skip
"""Options that reach into whatever a dialect builds."""


@pytest.mark.parametrize("case", list(recorded()))
def test_no_dialect_changes_a_request_or_its_options(case: dict[str, Any]) -> None:
    told = {name: value for name, value in case["provider"].items() if name != "quirks"}
    at = Target(Provider(name=told.pop("name", "p"), **told), case["model"])
    chat = frozen({**case["chat"], "provider_options": {at.provider.name: {**DEEP}}})
    with contextlib.suppress(UnsupportedField):  # without its quirks a vendor may refuse it
        DIALECTS[at.provider.dialect].request(chat, at)


SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"], "additionalProperties": False}


@pytest.mark.parametrize("wire", OWNED)
def test_one_callers_options_never_reach_another_callers_request(wire: str) -> None:
    """Schemas are adapted once and remembered: what Alice merges into hers is not there for Bob."""
    answer: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}
    clean = json.dumps(body_of(wire, response_format=answer))
    words = json.loads(json.dumps(paths_to_schema(json.loads(clean))))
    for options in words:
        assert "pwned" in json.dumps(body_of(wire, options, response_format=answer))
    assert json.dumps(body_of(wire, response_format=answer)) == clean


def paths_to_schema(body: Any) -> list[Any]:
    """Options that reach each object of a body outside the conversation, and change it."""
    found = []
    for name, value in body.items():
        if isinstance(value, dict) and name not in ("messages", "contents", "input"):
            found += [{name: {"pwned": 1}}, *({name: inner} for inner in paths_to_schema(value))]
    return found


def test_a_merge_makes_every_object_on_its_way_new() -> None:
    inner = {"a": {"b": 1}}
    body = {"config": inner, "list": [1]}
    merge(body, {"config": {"a": {"c": 2}}, "list": [2]})
    assert body == {"config": {"a": {"b": 1, "c": 2}}, "list": [2]}
    assert inner == {"a": {"b": 1}}


def test_options_for_one_provider_do_not_reach_the_fallback() -> None:
    """The request's own objects stand in the first provider's body."""
    chat: Any = {
        "model": "m", "messages": HI, "logit_bias": {"1": 1}, "metadata": {"a": "b"},
        "provider_options": {"first": {"logit_bias": {"2": 2}, "metadata": {"c": "d"}}},
    }  # fmt: skip
    first, second = (Target(Provider(name, "openai", "https://api.example/v1"), "m") for name in ("first", "second"))
    assert DIALECTS["openai"].request(chat, first).body["logit_bias"] == {"1": 1, "2": 2}
    assert DIALECTS["openai"].request(chat, second).body["logit_bias"] == {"1": 1}
