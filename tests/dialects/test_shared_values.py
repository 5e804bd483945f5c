"""Nothing that requests share is changed: neither what is remembered between them, nor a request
that goes to several targets.

Requests are frozen: whatever changes one raises. What the dialects remember is frozen already.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest

from native_api import dialects
from native_api.dialects import DIALECTS
from native_api.dialects.shared.json_schema import SchemaAdapter
from native_api.dialects.shared.memo import FrozenDict, FrozenList, freeze
from native_api.types import Provider, Target
from tests.dialects.test_schemas import MODELS
from tests.test_recordings import cases, target_of

MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(dialects.__path__, "native_api.dialects.")
]


def adapters() -> list[SchemaAdapter[Any]]:
    """Every adapter that a module of the dialects has."""
    return list(
        {
            id(value): value
            for module in MODULES
            for value in vars(module).values()
            if isinstance(value, SchemaAdapter)
        }.values()
    )


def constants() -> dict[str, Any]:
    """Every module-level dict, list and set of the dialects, except for their tables of functions
    and dialects."""
    return {
        f"{module.__name__}.{name}": value
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, (dict, list, set)) and not name.startswith("__") and name != "HANDLERS"
    }


def everything(value: Any) -> Iterator[Any]:
    yield value
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from everything(item)


@pytest.mark.parametrize("case", cases("request"))
def test_no_dialect_changes_a_request_or_what_it_remembers(case: dict[str, Any]) -> None:
    dialect, target = DIALECTS[case["provider"]["dialect"]], target_of(case)
    chat: Any = freeze(case["chat"])
    for _ in range(2):
        assert dialect.request(chat, target).body == case["request"]["body"]


@pytest.mark.parametrize("name", DIALECTS)
def test_no_dialect_changes_its_constants(name: str) -> None:
    before = {place: repr(value) for place, value in constants().items()}
    for param in cases("chat"):
        case = param.values[0]
        if case["provider"]["dialect"] == name and "request" in case:
            DIALECTS[name].request(deepcopy(case["chat"]), target_of(case))
    assert {place: repr(value) for place, value in constants().items()} == before
    assert before


def strict_chat() -> Any:
    schema = {
        "type": "object",
        "properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}], "enum": ["x"]}},
        "$defs": {"A": {"type": "string"}},
    }
    function = {"name": "f", "parameters": schema, "strict": True}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    tools = [{"type": "function", "function": function}]
    return {
        "model": "m",
        "messages": [{"role": "user", "content": "?"}],
        "response_format": wanted,
        "tools": tools,
    }


@pytest.mark.parametrize("name", DIALECTS)
def test_the_next_request_is_not_touched_by_what_happens_to_a_body(name: str) -> None:
    """Whoever gets the body may put into it what it wants: either that raises, or nobody else sees
    it."""
    target = Target(
        Provider("p", name, "https://api.example/v1", options={"project": "a-project"}),
        MODELS.get(name, "m"),
    )
    before = deepcopy(DIALECTS[name].request(strict_chat(), target).body)
    for part in list(everything(DIALECTS[name].request(strict_chat(), target).body)):
        with suppress(TypeError):
            if isinstance(part, dict):
                part["enum"] = ["pwned"]
            elif isinstance(part, list):
                part.append("pwned")
    assert DIALECTS[name].request(strict_chat(), target).body == before


def test_all_that_is_remembered_is_frozen() -> None:
    for name in MODELS:
        target = Target(
            Provider("p", name, "https://api.example/v1", options={"project": "a-project"}),
            MODELS[name],
        )
        DIALECTS[name].request(strict_chat(), target)
    remembered = [
        part
        for adapter in adapters()
        for value in adapter.memo.values()
        for part in everything(value)
    ]
    assert {type(part) for part in remembered if isinstance(part, (dict, list))} == {
        FrozenDict,
        FrozenList,
    }
