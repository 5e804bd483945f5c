"""Whether a provider's own words say the same as what the gateway has made of them: then they go on
as they are."""

from __future__ import annotations

from typing import Any, Final, Literal

from native_api.types import Json

MESSAGE_MEMBERS: Final = frozenset(
    {"role", "content", "refusal", "annotations", "audio", "tool_calls", "function_call",
     "reasoning_content"}
)  # fmt: skip
"""Members of a message that clients may send back, null or not."""


def is_same(sent: Json, unified: Json) -> bool:
    """Whether two objects say the same, and `sent` has all members that clients need.

    A member that is null says as much as no member.
    """
    return unified.keys() <= sent.keys() and all(
        unified.get(name) == value for name, value in sent.items()
    )


def is_same_choice(sent: Any, unified: Json, content: Literal["delta", "message"]) -> bool:
    """The same for a choice, whose `content` is compared member by member."""
    if not isinstance(sent, dict) or not isinstance(sent.get(content), dict):
        return False
    message = {
        name: value for name, value in sent[content].items() if name != "annotations" or value != []
    }
    return (
        message.keys() <= MESSAGE_MEMBERS | unified[content].keys()
        and is_same(message, unified[content])
        and is_same({**sent, content: None}, {**unified, content: None})
    )


def are_same_choices(sent: list[Any], unified: list[Json]) -> bool:
    """The same for all choices of a chunk."""
    return len(sent) == len(unified) and all(
        is_same_choice(choice, made, "delta") for choice, made in zip(sent, unified, strict=True)
    )
