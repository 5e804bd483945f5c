"""What the adapters of JSON schemas share: size limits, a memo and the following of references.

Rules:
1. An adapter's work and output are linear in the size of the schema: `GrowthLimit` bounds what is
   written in place of references.
2. A schema over the limits is refused before any work on it. The error names its path.
3. An adapter returns frozen values, whether they are remembered or not: many requests share them.
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
"""Size of a schema in JSON. No provider takes more: OpenAI takes 120,000 characters of names and
values, others less."""

MAX_PARTS: Final = 10_000
"""Objects and lists in a schema, before and after it is adapted. OpenAI takes 5,000 properties;
adapting 10,000 parts takes about 0.1 s."""

MAX_GROWTH_FACTOR: Final = 4
"""How many times its own size a schema may grow by when references are replaced by definitions."""

MEMO_BYTES: Final = 8 * 1024 * 1024
"""Memory for the results of each adapter."""

DEFINITIONS: Final = ("$defs", "definitions")


class SchemaAdapter(Generic[T]):
    """Wraps a function `adapt(schema, path)`: freezes its results and remembers the smaller ones.

    `path` is the schema's path in the request. Clients send the same few schemas with every
    request. Raises UnsupportedField for a schema that is too large.
    """

    def __init__(self, adapt: Callable[[Json, str], T]) -> None:
        self.adapt = adapt
        self.memo = Memo[T](MEMO_BYTES)
        update_wrapper(self, adapt)

    def __call__(self, schema: Json, path: str) -> T:
        text = _dump_schema(schema)
        if len(text) > self.memo.max_weight:
            return self._adapt_and_freeze(schema, text, path)
        key = blake2b(text, digest_size=32).digest()
        cached: T = self.memo.get(key, MISSING)
        if cached is not MISSING:
            return cached
        adapted = self._adapt_and_freeze(schema, text, path)
        self.memo[key] = adapted
        return adapted

    def _adapt_and_freeze(self, schema: Json, text: bytes, path: str) -> T:
        check_size(schema, text, path)
        adapted: T = freeze(self.adapt(schema, path))
        return adapted


def _dump_schema(schema: Json) -> bytes:
    try:
        return orjson.dumps(schema)
    except TypeError:
        raise InvalidRequest("The request is nested too deeply.") from None


def check_size(schema: Json, text: bytes, path: str) -> None:
    """Raise UnsupportedField for a schema that is too large to adapt. `text` is its JSON."""
    if len(text) > MAX_SCHEMA_BYTES:
        raise UnsupportedField(
            path, f"this provider takes a JSON schema of at most {MAX_SCHEMA_BYTES} bytes"
        )
    # This also counts brackets in strings; only a schema with very many has to be walked.
    if (
        text.count(b"{") + text.count(b"[") > MAX_PARTS
        and sum(1 for _ in walk_containers(schema)) > MAX_PARTS
    ):
        raise UnsupportedField(
            path,
            f"this provider takes a JSON schema of at most {MAX_PARTS} objects and lists",
        )


def walk_containers(value: Any) -> Iterator[Any]:
    """Every dict and list in a value, including itself."""
    remaining = [value]
    while remaining:
        item = remaining.pop()
        if isinstance(item, dict):
            yield item
            remaining.extend(item.values())
        elif isinstance(item, list):
            yield item
            remaining.extend(item)


class GrowthLimit:
    """How much of a schema may be written a second time.

    The size of every part of the schema is measured once, at the start.
    """

    def __init__(self, schema: Json) -> None:
        self._sizes: dict[int, tuple[int, int]] = {}
        size, parts = self._measure(schema)
        self._remaining_size = MAX_GROWTH_FACTOR * size
        self._remaining_parts = min(MAX_GROWTH_FACTOR * parts, MAX_PARTS - parts)

    def allows(self, part: Json) -> bool:
        """Whether this part of the schema still fits; if so, it is counted."""
        size, parts = self._sizes[id(part)]
        if size > self._remaining_size or parts > self._remaining_parts:
            return False
        self._remaining_size -= size
        self._remaining_parts -= parts
        return True

    def _measure(self, value: Any) -> tuple[int, int]:
        """The approximate bytes of a value in JSON, and its number of objects and lists."""
        if isinstance(value, dict):
            sizes = [self._measure(item) for item in value.values()]
            size = sum(len(name) + 4 for name in value)
        elif isinstance(value, list):
            sizes = [self._measure(item) for item in value]
            size = len(value)
        else:
            return (len(value) if isinstance(value, str) else 4), 0
        total = size + 2 + sum(size for size, _ in sizes), 1 + sum(parts for _, parts in sizes)
        self._sizes[id(value)] = total
        return total


# --- references ----------------------------------------------------------------------------------


def find_references(value: Any) -> set[str]:
    """The pointers of all `$ref`s in a value."""
    pointers = [part.get("$ref") for part in walk_containers(value) if isinstance(part, dict)]
    return {pointer for pointer in pointers if isinstance(pointer, str)}


def is_recursive(schema: Json, starts: Iterable[str]) -> bool:
    """Whether a pointer in `starts` leads back to itself, or out of the schema's definitions."""
    references_by_pointer = {
        pointer: find_references(definition) for pointer, definition in _iterate_definitions(schema)
    }
    checked: set[str] = set()
    trail: list[str] = []
    visiting: set[str] = set()
    pending = [iter(starts)]
    while pending:
        pointer = next(pending[-1], None)
        if pointer is None:
            pending.pop()
            if trail:
                visiting.discard(trail[-1])
                checked.add(trail.pop())
        elif pointer in visiting or pointer not in references_by_pointer:
            return True
        elif pointer not in checked:
            trail.append(pointer)
            visiting.add(pointer)
            pending.append(iter(references_by_pointer[pointer]))
    return False


def _iterate_definitions(schema: Json) -> Iterator[tuple[str, Any]]:
    for group in DEFINITIONS:
        members = schema.get(group)
        for name, definition in members.items() if isinstance(members, dict) else ():
            yield f"#/{group}/{name}", definition


def resolve_pointer(root: Json, pointer: str) -> Json | None:
    """The object that a JSON pointer (RFC 6901, as a fragment) leads to, None if there is none."""
    value: Any = root
    for step in pointer.split("/")[1:] if pointer.startswith("#") else ["?"]:
        key = step.replace("~1", "/").replace("~0", "~")
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None
