"""Every field of the newest official SDK's request types is known, at every depth: the types are
read from the installed openai package, so an update that brings a new field fails here, naming it.

Unknown fields are errors in this test, as a site can have it (`UNKNOWN_FIELDS = "refuse"`).
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterable, Iterator
from typing import IO, Any, Literal, Required, Union, get_args, get_origin

import openai
from django.test import override_settings
from openai.types import embedding_create_params
from openai.types.chat import completion_create_params
from pydantic import BaseModel
from typing_extensions import get_type_hints, is_typeddict

from native_api.dialects.shared.field_members import FIELD_MEMBERS
from native_api.exceptions import InvalidRequest
from native_api.inbound.openai import ChatCompletions, EmbeddingsFormat
from native_api.inbound.openai.chat_serializer import ChatCompletionSerializer
from native_api.inbound.openai.embeddings import EmbeddingsSerializer
from native_api.inbound.openai.foreign_fields import REFUSED
from tests.cases import for_each

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
TOOL = {"type": "function", "function": {"name": "f"}}
BESIDE: dict[str, Any] = {
    "tool_choice": {"tools": [TOOL]},
    "top_logprobs": {"logprobs": True},
    "stream_options": {"stream": True},
}
"""What a field needs beside it."""

TEXTS = {
    "url": "https://a.example/i.png",
    "file_data": "data:application/pdf;base64,JVBERi0=",
    "arguments": "{}",
}
"""Values of strings, by the member's name; any other is "x"."""

NOT_JSON = (IO[bytes], os.PathLike)
"""What an SDK encodes before it sends it. So are its own objects."""

CHAT_TYPES = (
    completion_create_params.CompletionCreateParamsNonStreaming,
    completion_create_params.CompletionCreateParamsStreaming,
)


def read_hints(*typed_dicts: Any) -> dict[str, Any]:
    return {name: hint for each in typed_dicts for name, hint in get_type_hints(each).items()}


def list_values(hint: Any, name: str = "") -> Iterator[Any]:
    """Values of a type that together have every member of every object in it, and every word that
    a string may be."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_typeddict(hint):
        yield from list_objects(hint)
    elif origin is Literal:
        yield from arguments
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from list_values(argument, name)
    elif origin is dict:
        yield {"k": next(list_values(arguments[1]))}
    elif hint in NOT_JSON or (isinstance(hint, type) and issubclass(hint, BaseModel)):
        return
    elif isinstance(origin, type) and issubclass(origin, Iterable):
        for value in list_values(arguments[0], name):
            yield [value]
    elif hint is type(None):
        yield None
    else:
        yield {str: TEXTS.get(name, "x"), int: 1, float: 0.5, bool: True, object: {}}[hint]


def list_objects(typed_dict: Any) -> Iterator[dict[str, Any]]:
    hints = get_type_hints(typed_dict)
    required = {
        name: first_value(hints[name], name)
        for name, hint in get_type_hints(typed_dict, include_extras=True).items()
        if get_origin(hint) is Required
    }
    for name, hint in hints.items():
        for value in list_values(hint, name):
            yield {**required, name: value}


def first_value(hint: Any, name: str) -> Any:
    return next(value for value in list_values(hint, name) if value is not None)


def list_chats() -> Iterator[tuple[str, Any]]:
    for name, hint in read_hints(*CHAT_TYPES).items():
        for number, value in enumerate(list_values(hint, name)):
            if name not in REFUSED:
                yield f"{name} #{number}", {**CHAT, **BESIDE.get(name, {}), name: value}


def list_embeddings() -> Iterator[tuple[str, Any]]:
    for name, hint in read_hints(embedding_create_params.EmbeddingCreateParams).items():
        for number, value in enumerate(list_values(hint, name)):
            yield f"{name} #{number}", {"model": "m", "input": "Hi", name: value}


@for_each(list_chats)
@override_settings(NATIVE_API={"UNKNOWN_FIELDS": "refuse"})
def test_every_member_of_a_chat_is_known(chat: dict[str, Any]) -> None:
    error = find_error(chat)
    assert error is None or error.param in NEEDS_MORE, f"{error} ({chat})"


def find_error(chat: dict[str, Any]) -> InvalidRequest | None:
    try:
        ChatCompletions().parse(chat)
    except InvalidRequest as error:
        return error
    return None


NEEDS_MORE = frozenset({"messages[0].content[0].file", "messages[0].content"})
"""What the SDK's types leave optional, but OpenAI requires."""


@for_each(list_embeddings)
@override_settings(NATIVE_API={"UNKNOWN_FIELDS": "refuse"})
def test_every_field_of_embeddings_is_known(request: dict[str, Any]) -> None:
    EmbeddingsFormat().parse(request)


def test_every_top_level_field_is_in_a_serializer() -> None:
    chat = ChatCompletionSerializer().fields.keys() | REFUSED.keys()
    assert sorted(read_hints(*CHAT_TYPES).keys() - chat) == []
    embeddings = EmbeddingsSerializer().fields.keys()
    hints = read_hints(embedding_create_params.EmbeddingCreateParams)
    assert sorted(hints.keys() - embeddings) == []


def test_the_tables_of_known_members_have_no_others_than_types() -> None:
    """A name that is misspelt in the table would let the right one be reported as unknown."""
    hints = read_hints(*CHAT_TYPES)
    for field in FIELD_MEMBERS.keys() & hints.keys():
        sent = {
            member
            for value in list_values(hints[field], field)
            if isinstance(value, dict)
            for member in value
        }
        assert sent == FIELD_MEMBERS[field].keys(), field


def test_the_walk_reaches_the_depths_of_the_types() -> None:
    """Members that older versions of the SDK have too."""
    chats = [chat for _, chat in list_chats()]
    assert len(chats) > 150, openai.__version__
    text = str(chats)
    for member in ("detail", "filename", "tool_call_id", "strict", "country", "allowed_tools"):
        assert f"'{member}'" in text


def test_a_member_that_is_new_would_fail() -> None:
    chat = {**CHAT, "messages": [{"role": "user", "content": "Hi", "mood": "calm"}]}
    with override_settings(NATIVE_API={"UNKNOWN_FIELDS": "refuse"}):
        for changed in (chat, {**CHAT, "mood": "calm"}):
            error = find_error(changed)
            assert error is not None
            assert error.code == "unknown_field"
