"""Reads requests for responses in tests."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.exceptions import InvalidRequest
from native_api.inbound.base import ClientContext, ParsedRequest
from native_api.inbound.openai import ChatCompletions
from native_api.inbound.openai.responses import ResponsesFormat
from native_api.types import ClientBody
from tests.inbound.contexts import context_of

FORMAT = ResponsesFormat()
CHAT = ChatCompletions()


def parse(context: ClientContext | None = None, **fields: Any) -> ParsedRequest:
    return FORMAT.parse({"model": "m", "input": "Hi", **fields}, context or context_of())


def read_body(context: ClientContext | None = None, **fields: Any) -> ClientBody:
    client_body = parse(context, **fields).client_body
    assert client_body is not None
    return client_body


def unify(context: ClientContext | None = None, **fields: Any) -> tuple[Any, list[str]]:
    """The unified request, which the check of chats accepts, and what it leaves out."""
    client_body = read_body(context, **fields)
    unified = client_body.translate()
    CHAT.parse(unified)
    return unified, client_body.omitted


def unify_items(*items: Any, context: ClientContext | None = None, **fields: Any) -> Any:
    """The unified messages."""
    return unify(context, input=list(items), **fields)[0]["messages"]


def find_fault(**fields: Any) -> InvalidRequest:
    """The error of a request: of its check, or of its translation."""
    with pytest.raises(InvalidRequest) as caught:
        unify(**fields)
    return caught.value
