"""No dialect changes what requests share: remembered values, constants, and a request that goes to
several targets.

Requests are frozen in these tests, so a change raises. Remembered values are always frozen.
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
from tests.cases import for_each
from tests.dialects.test_schemas import MODELS
from tests.recorded_cases import build_target, recorded_cases, with_members

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(dialects.__path__, "native_api.dialects.")
]


def find_adapters() -> list[SchemaAdapter[Any]]:
    """Every adapter in the modules of the dialects."""
    return list(
        {
            id(value): value
            for module in MODULES
            for value in vars(module).values()
            if isinstance(value, SchemaAdapter)
        }.values()
    )


def find_constants() -> dict[str, Any]:
    """Every dict, list and set at the top of the dialects' modules, except tables of handlers."""
    return {
        f"{module.__name__}.{name}": value
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, (dict, list, set)) and not name.startswith("__") and name != "HANDLERS"
    }


def walk(value: Any) -> Iterator[Any]:
    yield value
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from walk(item)


@for_each(with_members("request"))
def test_no_dialect_changes_a_request_or_remembered_values(case: dict[str, Any]) -> None:
    dialect, target = DIALECTS[case["provider"]["dialect"]], build_target(case)
    chat: Any = freeze(case["chat"])
    for _ in range(2):
        assert dialect.request(chat, target).body == case["request"]["body"]


@pytest.mark.parametrize("name", DIALECTS)
def test_no_dialect_changes_its_constants(name: str) -> None:
    before = {name: repr(value) for name, value in find_constants().items()}
    for _, case in recorded_cases("chat"):
        if case["provider"]["dialect"] == name and "request" in case:
            DIALECTS[name].request(deepcopy(case["chat"]), build_target(case))
    assert {name: repr(value) for name, value in find_constants().items()} == before
    assert before


def build_strict_chat() -> Any:
    schema = {
        "type": "object",
        "properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}], "enum": ["x"]}},
        "$defs": {"A": {"type": "string"}},
    }
    function = {"name": "f", "parameters": schema, "strict": True}
    response_format = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    tools = [{"type": "function", "function": function}]
    return {
        "model": "m",
        "messages": [{"role": "user", "content": "?"}],
        "response_format": response_format,
        "tools": tools,
    }


@pytest.mark.parametrize("name", DIALECTS)
def test_changes_to_a_body_do_not_affect_the_next_request(name: str) -> None:
    """A change to a body raises, or it is visible only in this body."""
    target = Target(
        Provider("p", name, "https://api.example/v1", options={"project": "a-project"}),
        MODELS.get(name, "m"),
    )
    before = deepcopy(DIALECTS[name].request(build_strict_chat(), target).body)
    for part in list(walk(DIALECTS[name].request(build_strict_chat(), target).body)):
        with suppress(TypeError):
            if isinstance(part, dict):
                part["enum"] = ["pwned"]
            elif isinstance(part, list):
                part.append("pwned")
    assert DIALECTS[name].request(build_strict_chat(), target).body == before


def test_all_remembered_values_are_frozen() -> None:
    for name in MODELS:
        target = Target(
            Provider("p", name, "https://api.example/v1", options={"project": "a-project"}),
            MODELS[name],
        )
        DIALECTS[name].request(build_strict_chat(), target)
    remembered = [
        part
        for adapter in find_adapters()
        for value in adapter.memo.values()
        for part in walk(value)
    ]
    assert {type(part) for part in remembered if isinstance(part, (dict, list))} == {
        FrozenDict,
        FrozenList,
    }
