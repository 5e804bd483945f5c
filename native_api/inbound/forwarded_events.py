"""Named events of a provider that speaks its client's API, as the text of the client's stream."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from native_api.inbound.base import to_json
from native_api.types import ForwardedEvent, Json


def join_events(
    events: Iterable[ForwardedEvent],
    kinds: Collection[str],
    write: Callable[[ForwardedEvent], str],
) -> bytes:
    """The events as they were sent. `write` gives the text of those that a dialect has edited, and
    of these kinds, of which "" are those without a name."""
    texts = []
    for event in events:
        _, data, kind, _ = event
        if data is None or kind in kinds:
            texts.append(write(event))
        else:
            texts.append(f"event: {kind}\ndata: {data}\n\n")
    return "".join(texts).encode()


def find_kind(event: ForwardedEvent, members: Json) -> str:
    """The event's name; without one, the type in its JSON."""
    return event.type or str(members.get("type") or "message")


def write_edited(event: ForwardedEvent, kind: str, members: Json, edited: Json) -> str:
    """The event with this name. It is as it was sent if `edited` is what was read of it,
    `members`."""
    is_same = edited is members and event.data is not None
    return f"event: {kind}\ndata: {event.data if is_same else to_json(edited).decode()}\n\n"


def frame_event(kind: str, data: bytes) -> bytes:
    """An event of the gateway's own."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
