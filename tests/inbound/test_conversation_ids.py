"""Conversation ids of clients that do not know our field: the setting CONVERSATION_ID_FROM."""

from __future__ import annotations

from typing import Any

import pytest
from django.http.request import HttpHeaders

from native_api.inbound.conversation_ids import KNOWN, add_conversation_id
from native_api.inbound.request_serializer import MAX_CONVERSATION_ID_LENGTH

pytestmark = pytest.mark.pure


def conversation_of(body: Any, sources: list[str], **headers: str) -> str | None:
    sent = HttpHeaders({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    id_: str | None = add_conversation_id(body, sent, sources).get("conversation_id")
    return id_


BODIES = [
    ("metadata.user_id", {"metadata": {"user_id": "session-1"}}),
    ("prompt_cache_key", {"prompt_cache_key": "session-1"}),
    ("session_id", {"session_id": "session-1"}),
]


@pytest.mark.parametrize(("source", "body"), BODIES)
def test_a_member_of_the_body_names_the_conversation(source: str, body: Any) -> None:
    named = conversation_of(body, [source])
    assert named
    assert named == conversation_of(body, [source])
    assert "session-1" not in named
    assert conversation_of(body, []) is None


@pytest.mark.parametrize(
    "source", ["session-id", "session_id", "x-claude-code-session-id", "x-session-affinity"]
)
def test_a_header_names_the_conversation(source: str) -> None:
    header = {source.replace("-", "_"): "session-1"}
    if source != "session_id":  # servers leave out headers with an underscore, or do not
        assert conversation_of({}, [source], **header)
        assert conversation_of({}, ["metadata.user_id"], **header) is None


def test_the_first_source_with_a_value_wins() -> None:
    body = {"prompt_cache_key": "cache", "metadata": {"user_id": "user"}}
    first = conversation_of(body, ["session-id", "metadata.user_id", "prompt_cache_key"])
    assert first == conversation_of({"metadata": {"user_id": "user"}}, ["metadata.user_id"])
    assert first != conversation_of(body, ["prompt_cache_key"])


def test_equal_values_of_two_sources_are_two_conversations() -> None:
    assert conversation_of({"session_id": "1"}, ["session_id"]) != conversation_of(
        {"prompt_cache_key": "1"}, ["prompt_cache_key"]
    )


@pytest.mark.parametrize("odd", ["", None, 7, [], {"a": 1}, True])
@pytest.mark.parametrize("source", KNOWN)
def test_odd_values_name_none(source: str, odd: Any) -> None:
    body = {"metadata": {"user_id": odd}, "prompt_cache_key": odd, "session_id": odd}
    assert conversation_of(body, [source]) is None
    assert conversation_of({"metadata": odd}, ["metadata.user_id"]) is None


def test_an_id_has_a_bounded_length_and_the_body_is_not_changed() -> None:
    body = {"prompt_cache_key": "\ud800" + "k" * 100_000}
    named = conversation_of(body, ["prompt_cache_key"])
    assert named
    assert len(named) <= MAX_CONVERSATION_ID_LENGTH
    assert body.keys() == {"prompt_cache_key"}
