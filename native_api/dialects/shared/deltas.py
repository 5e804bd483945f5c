"""Folding deltas into a message, as clients do with a stream. Complete replies are built this way.

OpenAI's SDK adds up deltas: it joins texts, sums numbers and merges items of a list by their
`index`. So a delta holds only what is new, and a list whose items have no `index` (`annotations`)
comes once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from native_api.types import Json


def add_delta(message: Json, delta: Json) -> None:
    """Fold a delta into the message so far: texts and lists grow, pieces of a call are joined."""
    for name, value in delta.items():
        present = message.get(name)
        if name == "tool_calls" and present:
            for piece in value:
                _add_call(present, piece)
        elif present is None:
            message[name] = value
        elif isinstance(present, dict):
            add_delta(present, value)
        else:
            message[name] = present + value


def extend_delta(delta: Json, later: Json) -> None:
    """Add a later delta to one that is not sent yet, so that one chunk has both.

    Texts and lists grow. Pieces of a call stay separate, since clients match them by `index`.
    """
    for name, value in later.items():
        present = delta.get(name)
        delta[name] = value if present is None else present + value


def join_deltas(deltas: Iterable[Json]) -> Json:
    """One delta with all that these say."""
    joined: Json = {}
    for delta in deltas:
        extend_delta(joined, delta)
    return joined


def _add_call(calls: list[Json], piece: Json) -> None:
    if piece["index"] == len(calls):
        calls.append(piece)
    else:
        calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]


CONTENT_FIELDS: Final = frozenset(
    {
        "tool_calls",
        "refusal",
        "audio",
        "images",
        "reasoning_content",
        "reasoning_details",
        "provider_content",
    }
)


def complete_message(message: Json) -> Json:
    """Turn a folded message into that of a complete reply.

    Its calls have no `index`, and its content is "" if it has nothing else, so that clients can
    send it back.
    """
    for call in message.get("tool_calls") or ():
        call.pop("index", None)
    if message.get("content") is None and not CONTENT_FIELDS & message.keys():
        message["content"] = ""
    return message
