"""What a dialect must declare: each omission has an error that says what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from native_api.dialects.base import Dialect
from native_api.dialects.declaration import find_errors
from native_api.dialects.shared.gateway_owned import OwnedMembers
from native_api.dialects.streams import StreamParser
from native_api.exceptions import UpstreamError
from native_api.types import DIALECT_FIELDS, ChatCompletion, ChatRequest, Event, Json, Target


class Parser(StreamParser):
    def feed(self, event: Event) -> Iterable[Any]:
        return ()

    def close(self) -> Iterable[Any]:
        return ()


class Complete(Dialect):
    name = "complete"
    owned_members = OwnedMembers({"limit": "output", "model": "access"})
    renamed_fields = {"max_tokens": "limit"}
    translated_fields = frozenset({"messages"})
    omitted_fields = frozenset({"user", "metadata"})
    refused_fields = DIALECT_FIELDS - {"max_tokens", "messages", "user", "metadata"}

    def url(self, chat: ChatRequest, target: Target) -> str:
        return target.provider.base_url

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        body["messages"] = chat["messages"]

    def response(self, body: Json, target: Target) -> ChatCompletion:
        raise UpstreamError

    def stream(self, target: Target) -> StreamParser:
        return Parser()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return UpstreamError(upstream_status=status)


def variant(*left_out: str, **changes: Any) -> type[Dialect]:
    """`Complete` without some of its attributes, and with others."""
    attributes = {
        name: value
        for name, value in vars(Complete).items()
        if name not in left_out and not name.startswith("__")
    }
    return type("Variant", (Dialect,), {**attributes, **changes})


def errors(dialect: Any) -> list[str]:
    return [error.message for error in find_errors(dialect)]


def test_a_complete_dialect_has_no_errors() -> None:
    assert errors(Complete) == errors(variant()) == []


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        (("url", "error"), "Variant has no error, url"),
        (("name",), "Variant has no name"),
        (("renamed_fields",), "Variant has no renamed_fields"),
        (("translated_fields",), "Variant has no translated_fields"),
        (("owned_members",), "Variant has no owned_members"),
        (
            ("omitted_fields",),
            "Variant has metadata, user in none of omitted_fields, refused_fields, renamed_fields, "
            "translated_fields",
        ),
    ],
)
def test_what_is_left_out_is_named(left_out: tuple[str, ...], message: str) -> None:
    assert errors(variant(*left_out)) == [message]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wire": "acme"}, "Variant has the wire 'acme', but no edit_client_body"),
        ({"framing": "xml"}, "Variant has an unknown framing 'xml'"),
        ({"renamed_fields": ["max_tokens"]}, "Variant has no renamed_fields"),
        ({"omitted_fields": ["user", "metadata"]}, "Variant has no omitted_fields"),
        ({"owned_members": {"limit": "output"}}, "Variant has no owned_members"),
        (
            {"omitted_fields": frozenset({"user", "metadata", "colour"})},
            "Variant names fields that the unified request does not have: colour",
        ),
        (
            {"omitted_fields": frozenset({"user", "metadata", "seed"})},
            "Variant has seed in more than one set of fields",
        ),
        (
            {"owned_members": OwnedMembers({"model": "access"})},
            "Variant sends max_tokens, but owned_members has no member of the kind 'output'",
        ),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], message: str) -> None:
    assert errors(variant(**changes)) == [message]


@pytest.mark.parametrize("thing", [Parser, Complete(), print, "complete"])
def test_only_a_class_of_dialects_is_one(thing: Any) -> None:
    [error] = find_errors(thing)
    assert error.message.endswith(" is not a dialect")
    assert error.hint == "Give a subclass of native_api.dialects.Dialect."
