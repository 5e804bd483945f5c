"""What the adapters of JSON schemas share: how large a schema may be, what is remembered of it, and
where its references lead.

Rules:
1. An adapter's work, and what comes out of it, is linear in the schema: what is written in place of
   references is bounded by `Room`.
2. A schema over the limits is refused by its place in the request, before any work on it.
3. What an adapter returns is frozen, whether it is remembered or not: many requests share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import update_wrapper
from hashlib import blake2b
from typing import Any, Final, Generic, TypeVar

import orjson

from native_api.dialects.shared.memo import MISSING, Memo, freeze
from native_api.exceptions import InvalidRequest, UnsupportedField
from native_api.types import Json

T = TypeVar("T")

MAX_SCHEMA_BYTES: Final = 1024 * 1024
"""Of a schema in JSON. OpenAI takes 120,000 characters of names and values, other providers less:
nobody takes more than this."""

MAX_PARTS: Final = 10_000
"""Objects and lists in a schema, before and after it is adapted. OpenAI takes 5,000 properties;
adapting 10,000 parts takes about 0.1 s."""

MAX_GROWTH_FACTOR: Final = 4
"""How often its own size a schema may grow where definitions have to be written in place of
references."""

MEMO_BYTES: Final = 8 * 1024 * 1024
"""Of memory, for each adapter."""

DEFINITIONS: Final = ("$defs", "definitions")


class SchemaAdapter(Generic[T]):
    """`adapt` as a function of a schema and its place in the request, whose results are frozen and,
    unless they are large, remembered.

    The same few schemas come with every request. Raises UnsupportedField for a schema that is too
    large.
    """

    def __init__(self, adapt: Callable[[Json, str], T]) -> None:
        self.adapt = adapt
        self.memo: Memo[T] = Memo(MEMO_BYTES)
        update_wrapper(self, adapt)

    def __call__(self, schema: Json, place: str) -> T:
        text = _text(schema)
        if len(text) > self.memo.max_value_bytes:
            return self._adapted(schema, text, place)
        key = blake2b(text, digest_size=32).digest()
        known = self.memo.get(key)
        if known is not MISSING:
            return known
        made = self._adapted(schema, text, place)
        self.memo.put(key, made)
        return made

    def _adapted(self, schema: Json, text: bytes, place: str) -> T:
        check_size(schema, text, place)
        made: T = freeze(self.adapt(schema, place))
        return made


def _text(schema: Json) -> bytes:
    try:
        return orjson.dumps(schema)
    except TypeError:
        raise InvalidRequest("The request is nested too deeply.") from None


def check_size(schema: Json, text: bytes, place: str) -> None:
    """Raise UnsupportedField for a schema, `text` in JSON, that is too large to be adapted."""
    if len(text) > MAX_SCHEMA_BYTES:
        raise UnsupportedField(
            place, f"a JSON schema may have at most {MAX_SCHEMA_BYTES} bytes with this provider"
        )
    # Brackets inside of texts count too, so that only a schema with many of them has to be walked.
    if (
        text.count(b"{") + text.count(b"[") > MAX_PARTS
        and sum(1 for _ in walk_containers(schema)) > MAX_PARTS
    ):
        raise UnsupportedField(
            place,
            f"a JSON schema may have at most {MAX_PARTS} objects and lists with this provider",
        )


def walk_containers(value: Any) -> Iterator[Any]:
    """Every dict and list in a value, itself included."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            yield item
            left.extend(item.values())
        elif isinstance(item, list):
            yield item
            left.extend(item)


class GrowthLimit:
    """How much of a schema may be written a second time. Weighs every part of the schema once, when
    it is made."""

    def __init__(self, schema: Json) -> None:
        self._weights: dict[int, tuple[int, int]] = {}
        size, parts = self._weigh(schema)
        self._size = MAX_GROWTH_FACTOR * size
        self._parts = min(MAX_GROWTH_FACTOR * parts, MAX_PARTS - parts)

    def allows(self, part: Json) -> bool:
        """Whether there is room for this part of the schema, which is then taken."""
        size, parts = self._weights[id(part)]
        if size > self._size or parts > self._parts:
            return False
        self._size -= size
        self._parts -= parts
        return True

    def _weigh(self, value: Any) -> tuple[int, int]:
        """About the bytes of a value in JSON, and how many objects and lists it has."""
        if isinstance(value, dict):
            weights = [self._weigh(item) for item in value.values()]
            size = sum(len(name) + 4 for name in value)
        elif isinstance(value, list):
            weights = [self._weigh(item) for item in value]
            size = len(value)
        else:
            return (len(value) if isinstance(value, str) else 4), 0
        weight = size + 2 + sum(size for size, _ in weights), 1 + sum(parts for _, parts in weights)
        self._weights[id(value)] = weight
        return weight


# --- references ----------------------------------------------------------------------------------------------


def find_references(value: Any) -> set[str]:
    """Every pointer that a `$ref` in a value names."""
    named = [part.get("$ref") for part in walk_containers(value) if isinstance(part, dict)]
    return {pointer for pointer in named if isinstance(pointer, str)}


def is_recursive(schema: Json, starts: Iterable[str]) -> bool:
    """Whether one of the pointers in `starts` leads back to where it stood, or out of the schema's
    definitions."""
    leads = {pointer: find_references(definition) for pointer, definition in _definitions(schema)}
    done: set[str] = set()
    path: list[str] = []
    standing = set(path)
    ways = [iter(starts)]
    while ways:
        pointer = next(ways[-1], None)
        if pointer is None:
            ways.pop()
            if path:
                standing.discard(path[-1])
                done.add(path.pop())
        elif pointer in standing or pointer not in leads:
            return True
        elif pointer not in done:
            path.append(pointer)
            standing.add(pointer)
            ways.append(iter(leads[pointer]))
    return False


def _definitions(schema: Json) -> Iterator[tuple[str, Any]]:
    for group in DEFINITIONS:
        members = schema.get(group)
        for name, definition in members.items() if isinstance(members, dict) else ():
            yield f"#/{group}/{name}", definition
