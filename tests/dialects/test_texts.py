"""Texts of a reply are texts, whatever the provider sends: writers of every API join them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.types import Event, Provider, Target

pytestmark = pytest.mark.pure

REPLIES: list[tuple[str, Any]] = [
    ("ollama", {"message": {"role": "assistant", "content": None}, "done": True}),
    ("ollama", {"message": {"role": "assistant", "content": "a", "thinking": None}, "done": True}),
    ("openai", {"choices": [{"index": 0, "message": {"refusal": None}, "finish_reason": "stop"}]}),
]


def put_in_place_of_null(value: Any, odd: Any) -> Any:
    """The value with its null replaced."""
    if isinstance(value, dict):
        return {name: put_in_place_of_null(member, odd) for name, member in value.items()}
    if isinstance(value, list):
        return [put_in_place_of_null(item, odd) for item in value]
    return odd if value is None else value


@pytest.mark.parametrize(("name", "reply"), REPLIES)
@pytest.mark.parametrize("odd", [5, 1.5, True, {"a": 1}], ids=repr)
def test_a_reply_whose_text_is_something_else_is_the_providers_fault(
    name: str, reply: Any, odd: Any
) -> None:
    target = Target(Provider("p", name, "https://api.example/v1"), "m")
    with pytest.raises(UpstreamError):
        DIALECTS[name].response(put_in_place_of_null(reply, odd), target)


@pytest.mark.parametrize("odd", [5, 1.5, True, {"a": 1}], ids=repr)
def test_so_is_a_chunk(odd: Any) -> None:
    target = Target(Provider("p", "ollama", "https://api.example/v1"), "m")
    line = {"message": {"role": "assistant", "content": odd}, "done": False}
    with pytest.raises(UpstreamError):
        DIALECTS["ollama"].stream(target).feed(Event("", orjson.dumps(line).decode()))
