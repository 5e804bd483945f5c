"""Every recorded request to Bedrock against AWS's own model of the API, as botocore contains it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from tests.cases import for_each
from tests.recorded_cases import recorded_cases


def find_faults(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """Where a value breaks AWS's model of the API, which AWS's SDKs and the service check."""
    if getattr(shape, "is_document_type", False):
        return
    if shape.type_name == "structure":
        yield from (f"{path}.{name}: unknown" for name in value if name not in shape.members)
        yield from (
            f"{path}.{name}: missing" for name in shape.required_members if name not in value
        )
        if shape.is_tagged_union and len(value) != 1:
            yield f"{path}: one member of {', '.join(shape.members)}"
        for name in value.keys() & shape.members.keys():
            yield from find_faults(shape.members[name], value[name], f"{path}.{name}")
    elif shape.type_name == "list":
        yield from (
            fault
            for index, item in enumerate(value)
            for fault in find_faults(shape.member, item, f"{path}[{index}]")
        )
    elif shape.type_name == "map":
        yield from (
            fault
            for name, item in value.items()
            for fault in (
                *find_faults(shape.key, name, path),
                *find_faults(shape.value, item, path),
            )
        )
    elif shape.type_name == "string":
        yield from find_string_faults(shape, value, path)


def find_string_faults(shape: Any, value: Any, path: str) -> Iterator[str]:
    rules = shape.metadata
    if not isinstance(value, str) or (rules.get("enum") and value not in rules["enum"]):
        yield f"{path}: {value!r} is not one of {rules.get('enum')}"
    elif not rules.get("min", 0) <= len(value) <= rules.get("max", len(value)):
        yield f"{path}: too long or too short"
    elif rules.get("pattern") and not re.fullmatch(rules["pattern"], value):
        yield f"{path}: {value!r} does not match {rules['pattern']}"


@functools.cache
def converse_operation() -> Any:
    from botocore.session import get_session  # Heavy: not when tests are collected.

    return get_session().get_service_model("bedrock-runtime").operation_model("Converse")


@for_each(lambda: (case for case in recorded_cases("request") if case[0].startswith("bedrock")))
def test_every_recorded_request_fits_the_model_of_the_api(case: dict[str, Any]) -> None:
    body = {"modelId": case["model"], **case["request"]["body"]}
    assert list(find_faults(converse_operation().input_shape, body)) == []


def test_the_model_of_the_api_finds_faults() -> None:
    body = {
        "modelId": "m",
        "messages": [{"role": "tool", "content": [{"text": "a", "image": {}}]}],
        "system": [{"text": ""}],
        "x": 1,
    }
    assert len(list(find_faults(converse_operation().input_shape, body))) == 6
