"""What a request of the Responses API refers to: the response that it continues, and single items.

Both are put into its `input`, so that formats, hooks and providers only see whole conversations.
What cannot be resolved is refused and never ignored: the model would answer without having seen it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from native_api.conf import native_settings
from native_api.exceptions import InvalidRequest
from native_api.gateway import kept_responses, kept_threads
from native_api.gateway.kept_responses import MAX_SHOWN, History
from native_api.inbound.body_limits import BodyMemory
from native_api.inbound.json_structure import count_structure
from native_api.types import Caller, Json

MAX_REFERENCES: Final = 1000

PLACE: Final = re.compile(r"input\[(\d+)\]")


class ResolvedInput(NamedTuple):
    """A request without references. The body that it was made of is unchanged."""

    body: Json
    input_items: list[Any]
    """Those of this turn, for `kept_responses.keep`. They are not checked yet."""
    previous_response_id: str | None
    keep: bool
    """Whether the response shall be kept."""
    history_length: int = 0
    """Items that were put before those of this turn."""
    added_bytes: int = 0
    """About the JSON that was added to the body. If it is much, check the body in a thread."""

    def in_clients_words(self, error: InvalidRequest) -> InvalidRequest:
        """The error with the places in `input` that the client knows."""
        if not self.history_length:
            return error
        message, param = self._rename(error.message), self._rename(error.param or "")
        return InvalidRequest(message, code=error.code, param=param or None, headers=error.headers)

    def _rename(self, text: str) -> str:
        return PLACE.sub(lambda match: self._name_place(int(match[1])), text)

    def _name_place(self, index: int) -> str:
        own = index - self.history_length
        return f"input[{own}]" if own >= 0 else "previous_response_id"


async def resolve_state(
    data: Json, caller: Caller, memory: BodyMemory | None = None
) -> ResolvedInput:
    """The request with the items that it refers to, whose bytes `memory` counts. Only for a site
    that keeps responses.

    Raises InvalidRequest, DatabaseUnavailable, Overloaded.
    """
    previous = _read_previous(data)
    written = data.get("input")
    items = _list_items(written)
    references = _find_references(items)
    items, added = await _insert_items(items, references, caller, memory)
    history = History([], 0)
    if previous is not None:
        history = await kept_responses.load_history(caller, previous, memory)
    is_kept = _is_to_be_kept(data, caller)
    body = _make_body(data, [*history.items, *items]) if previous or references else data
    return ResolvedInput(
        _without_store(body) if is_kept else body,
        items,
        previous,
        is_kept,
        len(history.items),
        history.size + added,
    )


def _is_to_be_kept(data: Json, caller: Caller) -> bool:
    return bool(caller.identity) and data.get("store") in (None, True)


def _make_body(data: Json, items: list[Any]) -> Json:
    body = {**data, "input": items}
    body.pop("previous_response_id", None)
    return body


def _without_store(body: Json) -> Json:
    """`store: true` is done here, so no provider has to leave it out and report that. For one that
    may store, it is the default."""
    return {name: value for name, value in body.items() if name != "store"}


def _list_items(written: Any) -> list[Any]:
    """The items of any form of `input`. What is not valid is left to the check of the body."""
    if isinstance(written, str):
        content = [{"type": "input_text", "text": written}]
        return [{"type": "message", "role": "user", "content": content}]
    return list(written) if isinstance(written, list) else []


def _read_previous(data: Json) -> str | None:
    previous = data.get("previous_response_id")
    if previous is not None and not isinstance(previous, str):
        raise InvalidRequest(
            "previous_response_id: expected a string", param="previous_response_id"
        )
    return previous


# --- item references -----------------------------------------------------------------------------


def _find_references(items: Sequence[Any]) -> dict[int, str]:
    """The index in `input` -> the id that is referred to. Raises InvalidRequest."""
    found = {index: item.get("id") for index, item in enumerate(items) if _is_reference(item)}
    for index, identity in found.items():
        if not isinstance(identity, str):
            path = f"input[{index}].id"
            raise InvalidRequest(f"{path}: expected a string", param=path)
    if len(found) > MAX_REFERENCES:
        raise InvalidRequest(f"input: at most {MAX_REFERENCES} item references", param="input")
    return found


def _is_reference(item: Any) -> bool:
    """The type may be left out: `{"id": "rs_1"}` (openai-python, `ItemReference`, read 2026-11)."""
    if not isinstance(item, dict):
        return False
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and item.keys() - {"type"} == {"id"})


async def _insert_items(
    items: list[Any],
    references: Mapping[int, str],
    caller: Caller,
    memory: BodyMemory | None,
) -> tuple[list[Any], int]:
    """The items with those that are referred to, and about the bytes that this adds."""
    if not references:
        return items, 0
    found = await kept_responses.load_items(caller, references.values(), memory)
    for index, identity in references.items():
        if identity not in found:
            raise InvalidRequest(
                f"Item with id '{identity[:MAX_SHOWN]}' not found. "
                f"{kept_responses.describe_keeping()}",
                code="item_not_found",
                param=f"input[{index}]",
            )
    added = await kept_threads.compute(_measure, found, Counter(references.values()))
    inserted = [
        found[references[index]] if index in references else item
        for index, item in enumerate(items)
    ]
    return inserted, added


def _measure(found: Mapping[str, Json], times: Mapping[str, int]) -> int:
    """The bytes of the items. Raises InvalidRequest if a request could not have so many."""
    size = values = 0
    for identity, item in found.items():
        text = orjson.dumps(item)
        size += len(text) * times[identity]
        values += count_structure(text).values * times[identity]
    if size > native_settings.MAX_BODY_BYTES or values > native_settings.MAX_JSON_VALUES:
        raise InvalidRequest(
            "input: the items that it refers to are larger than a request may be",
            code="context_length_exceeded",
            param="input",
        )
    return size
