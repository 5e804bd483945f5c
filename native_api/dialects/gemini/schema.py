"""JSON Schema as Gemini takes it, for `parametersJsonSchema` and `responseJsonSchema`.

Gemini has two schema fields. The older one, an OpenAPI subset (`parameters`, `responseSchema`),
answers 400 to `$ref`, `additionalProperties`, `const` and lists of types. The newer one is real
JSON Schema and is documented for both the Gemini API (v1beta) and Vertex AI (v1). It is the one
used here: recursion, unions and open objects pass unchanged. The rules for the rest follow
https://ai.google.dev/api/generate-content#GenerationConfig (read 2026-11):

1. Gemini obeys only `$id $defs $ref $anchor type format title description enum items prefixItems
   minItems maxItems minimum maximum anyOf oneOf properties additionalProperties required`.
   `schema_keywords` rewrites the others, and `schema_definitions` merges `allOf`.
2. A `$ref` must be the only keyword of its object. If it has siblings, the definition is written in
   its place, with the definition's own references untouched. If `GrowthLimit` does not allow that,
   or the definition is already being written around it, the reference is put into an `anyOf` of
   one, which means the same.
3. Definitions are kept in `$defs`: `#/definitions/X`, `#` and other pointers are moved there. Only
   definitions that are used are sent.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from native_api.dialects.gemini.schema_definitions import (
    DefinitionNames,
    MergedSchema,
    is_wrapped_reference,
    read_list,
    walk_definitions,
)
from native_api.dialects.gemini.schema_keywords import (
    describe_keywords,
    drop_string_names,
    rewrite_constants,
    rewrite_tuples,
)
from native_api.dialects.shared.json_schema import GrowthLimit, SchemaAdapter, resolve_pointer
from native_api.exceptions import UnsupportedField
from native_api.types import Json

DROPPED_KEYWORDS: Final = frozenset(
    {"$schema", "$comment", "$defs", "definitions", "discriminator"}
)
"""Keywords that constrain nothing by themselves. Definitions are collected as they are used."""

SCHEMA_KEYWORDS: Final = frozenset(
    {"items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"}
)
"""Keywords whose value is a schema."""

SCHEMA_LIST_KEYWORDS: Final = frozenset({"anyOf", "oneOf", "prefixItems"})
SCHEMA_MAP_KEYWORDS: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})

MAX_ROOT_REFERENCES: Final = 10
"""How many references at the root of a schema are followed, one after another."""

MAX_INLINED_DEPTH: Final = 10
"""How many definitions are written inside one another. A longer chain would become deeper than JSON
may be."""


@SchemaAdapter
def adapt_schema(schema: Json, path: str) -> Json:
    """The same schema in the keywords that Gemini obeys.

    `path` is the schema's place in the request, for errors. Raises UnsupportedField for a schema
    that is too large or would grow too much, and for a reference that leads nowhere.
    """
    return _SchemaWriter(schema, path).adapt()


class _SchemaWriter:
    """Adapts one schema. Each definition is adapted once, when it is found to be used."""

    def __init__(self, root: Json, path: str) -> None:
        self._root = root
        self._path = path
        self._direct = {id(definition) for definition in walk_definitions(root)}
        self._names = DefinitionNames()
        self._pending: list[tuple[str, Json]] = []
        self._enclosing: set[int] = set()
        """The definitions, by `id`, that are being written in place around the current node."""
        self._limit: GrowthLimit | None = None

    def adapt(self) -> Json:
        root = self._root
        for _ in range(MAX_ROOT_REFERENCES):
            if "$ref" not in root:
                break
            root = self._merge_siblings(root)
        schema: Json = self._adapt_node(root)
        definitions: Json = {}
        while self._pending:
            name, definition = self._pending.pop()
            self._enclosing = {id(definition)}
            definitions[name] = self._adapt_node(definition)
        return {**schema, "$defs": definitions} if definitions else schema

    def _adapt_node(self, schema: Any) -> Any:
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self._adapt_reference(schema)
        if "allOf" in schema:
            return self._adapt_node(self._merge_all_of(schema))
        node = {
            name: self._adapt_keyword(name, value)
            for name, value in schema.items()
            if name not in DROPPED_KEYWORDS
        }
        drop_string_names(node)
        rewrite_tuples(node)
        rewrite_constants(node)
        describe_keywords(node)
        return node

    def _adapt_keyword(self, name: str, value: Any) -> Any:
        if name in SCHEMA_KEYWORDS:
            if isinstance(value, list):
                return [self._adapt_node(item) for item in value]
            is_switch = name == "additionalProperties" and isinstance(value, bool)
            return value if is_switch else self._adapt_node(value)
        if name in SCHEMA_LIST_KEYWORDS and isinstance(value, list):
            return [self._adapt_node(item) for item in value]
        if name in SCHEMA_MAP_KEYWORDS and isinstance(value, dict):
            return {key: self._adapt_node(item) for key, item in value.items()}
        return value

    # --- references ------------------------------------------------------------------------------

    def _adapt_reference(self, schema: Json) -> Json:
        pointer = str(schema["$ref"])
        siblings = {name: value for name, value in schema.items() if not name.startswith("$")}
        if not siblings:
            return {"$ref": f"#/$defs/{self._name_definition(pointer)}"}
        definition = self._resolve(pointer)
        if (
            id(definition) not in self._enclosing
            and len(self._enclosing) < MAX_INLINED_DEPTH
            and self._allow_copy(definition)
        ):
            self._enclosing.add(id(definition))
            inlined: Json = self._adapt_node(self._merge_siblings(schema))
            self._enclosing.discard(id(definition))
            return inlined
        if "anyOf" in siblings:
            raise self._build_size_error(pointer)
        wrapped: Json = self._adapt_node({**siblings, "anyOf": [{"$ref": pointer}]})
        return wrapped

    def _merge_siblings(self, schema: Json) -> Json:
        """The definition that a `$ref` names, with its siblings, which win."""
        siblings = {name: value for name, value in schema.items() if name != "$ref"}
        return {**self._resolve(str(schema["$ref"])), **siblings}

    def _name_definition(self, pointer: str) -> str:
        """The definition's name in `$defs`. A new definition is queued to be adapted."""
        definition = self._resolve(pointer)
        name = self._names.get(definition)
        if name:
            return name
        if id(definition) not in self._direct and not self._allow_copy(definition):
            # The pointer leads into the schema itself, so its target is sent there as well.
            raise self._build_size_error(pointer)
        name = self._names.add(definition, pointer)
        self._pending.append((name, definition))
        return name

    def _merge_all_of(self, schema: Json) -> Json:
        """`allOf` as one schema: properties and required names are united, otherwise the first
        value wins."""
        if is_wrapped_reference(schema):
            siblings = {name: value for name, value in schema.items() if name != "allOf"}
            return {**schema["allOf"][0], **siblings}
        merged = MergedSchema()
        parts: deque[Any] = deque([schema])
        seen: set[int] = set()
        while parts:
            part = parts.popleft()
            if not isinstance(part, dict):
                continue
            merged.add(part)
            parts.extend(read_list(part.get("allOf")))
            definition = self._resolve(str(part["$ref"])) if "$ref" in part else None
            if definition is not None and id(definition) not in seen:
                if not self._allow_copy(definition):
                    raise self._build_size_error(str(part["$ref"]))
                seen.add(id(definition))
                parts.appendleft(definition)
        return merged.build()

    def _allow_copy(self, part: Json) -> bool:
        """Whether a part of the schema may be written again. Counts it against the limit."""
        if self._limit is None:
            self._limit = GrowthLimit(self._root)
        return self._limit.allows(part)

    def _resolve(self, pointer: str) -> Json:
        definition = resolve_pointer(self._root, pointer)
        if definition is None:
            raise UnsupportedField(
                self._path, f"the schema refers to {pointer[:100]!r}, which it does not contain"
            )
        return definition

    def _build_size_error(self, pointer: str) -> UnsupportedField:
        reason = (
            f"the definition {pointer[:100]!r} has to be repeated for this provider, "
            "which would make the schema too large"
        )
        return UnsupportedField(self._path, reason)
