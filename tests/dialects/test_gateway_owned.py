"""Callers cannot set what the gateway owns in a provider's body, in any way, on any wire; and no
dialect changes a request."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.shared.gateway_owned import (
    OwnedMembers,
    read_requested_tier,
)
from native_api.dialects.shared.provider_options import merge_options
from native_api.exceptions import UnsupportedField
from native_api.types import Provider, Target
from tests.cases import for_each
from tests.recorded_cases import with_members

HI: Any = [{"role": "user", "content": "Hi"}]
MODELS = {
    "bedrock": "anthropic.claude-sonnet-4-5",
    "gemini": "gemini-2.5-pro",
    "openai_responses": "gpt-5",
}
OPTIONS = {"anthropic_vertex": {"project": "p"}}
FOLDER = Path(__file__).resolve().parent.parent / "recordings"


USER_BLOCKS = ("anthropic", "gemini")
"""Wires that take their own blocks in a user's message."""


def build_target(
    wire: str, base_url: str = "https://api.example/v1", **provider_fields: Any
) -> Target:
    return Target(
        Provider("p", wire, base_url, options=OPTIONS.get(wire, {}), **provider_fields),
        MODELS.get(wire, "m"),
    )


def build_body(wire: str, options: Any = None, target: Target | None = None, **fields: Any) -> Any:
    chat: Any = {"model": "m", "messages": HI, **fields}
    if options is not None:
        chat["provider_options"] = {"p": options}
    request = DIALECTS[wire].request(chat, target or build_target(wire))
    assert json.loads(request.content) == json.loads(json.dumps(request.body))
    return request.body


def catch_refusal(
    wire: str, options: Any = None, target: Target | None = None, **fields: Any
) -> UnsupportedField:
    with pytest.raises(UnsupportedField) as caught:
        build_body(wire, options, target, **fields)
    return caught.value


# --- owned members -------------------------------------------------------------------------------


def nest(path: str, value: Any) -> Any:
    """The value at a path.

    `options.num_predict` -> {"options": {"num_predict": value}}; `tools[].model` -> {"tools":
    [{"model": value}]}.
    """
    first, _, rest = path.partition(".")
    inner = nest(rest, value) if rest else value
    return {first.removesuffix("[]"): [inner]} if first.endswith("[]") else {first: inner}


def to_snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def iterate_spellings(path: str) -> set[str]:
    """The spellings that Google's servers and Go's JSON decoder accept."""
    return {path, to_snake_case(path), path.upper(), path.replace("_", "")}


VALUES = [None, 1, 0, -1, 100_000.0, "100000", True, False, [], {}, 10**30]


@pytest.mark.parametrize("wire", DIALECTS)
def test_no_option_sets_a_member_that_the_gateway_owns(wire: str) -> None:
    """Every member, in every spelling that a server may accept, with every kind of value."""
    for path in DIALECTS[wire].owned_members:
        for spelling in iterate_spellings(path):
            for value in VALUES:
                assert catch_refusal(wire, nest(spelling, value)).param == format_path(
                    f"provider_options.p.{spelling}"
                ), (spelling, value)


def format_path(path: str) -> str:
    return path.replace("[]", "[0]")


@pytest.mark.parametrize("wire", DIALECTS)
@pytest.mark.parametrize("value", [None, 0, "x", [1]], ids=str)
def test_no_option_replaces_an_object_around_an_owned_member(wire: str, value: Any) -> None:
    """`{"generationConfig": null}` would remove the output limit."""
    for parent in {
        path.partition(".")[0]
        for path in DIALECTS[wire].owned_members
        if "." in path and "[]" not in path
    }:
        assert catch_refusal(wire, {parent: value}).param == f"provider_options.p.{parent}"


@pytest.mark.parametrize("wire", DIALECTS)
def test_own_account_allows_options_that_decide_about_state(
    wire: str,
) -> None:
    for path in [path for path, kind in DIALECTS[wire].owned_members.items() if kind == "state"]:
        assert build_body(wire, nest(path, "x"), build_target(wire, own_account=True))


@pytest.mark.parametrize("wire", DIALECTS)
def test_other_options_are_merged(wire: str) -> None:
    assert build_body(wire, {"top_secret": {"a": [1]}})["top_secret"] == {"a": [1]}


@pytest.mark.parametrize("wire", DIALECTS)
def test_providers_are_asked_not_to_store(wire: str) -> None:
    request = DIALECTS[wire].request(
        {"model": "m", "messages": HI, "store": True}, build_target(wire)
    )
    assert request.body.get("store") in (None, False)
    assert request.omitted == ("store",)


@pytest.mark.parametrize("wire", ["openai", "openai_responses", "gemini"])
def test_own_account_allows_storing(
    wire: str,
) -> None:
    assert (
        build_body(wire, target=build_target(wire, own_account=True), store=True)["store"] is True
    )


@pytest.mark.parametrize("wire", DIALECTS)
def test_the_output_limit_and_the_number_of_choices_are_read_from_the_finished_body(
    wire: str,
) -> None:
    members = DIALECTS[wire].owned_members
    assert members.read_output_limit(build_body(wire, max_completion_tokens=77)) == 77
    assert members.read_choice_count(build_body(wire)) == 1
    if wire in ("openai", "gemini"):
        assert members.read_choice_count(build_body(wire, n=3)) == 3


@pytest.mark.parametrize(
    ("wire", "tier"),
    [("openai", "flex"), ("openai_responses", "flex"), ("gemini", "flex"), ("bedrock", "flex")],
)
def test_the_service_tier_is_read_from_the_finished_body(wire: str, tier: str) -> None:
    assert read_requested_tier(build_body(wire, service_tier=tier)) == tier
    assert read_requested_tier(build_body(wire)) == ""


def test_a_kind_of_member_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="'limit' is not a kind of owned member"):
        OwnedMembers({"max_tokens": "limit"})


# --- no dialect changes a request ----------------------------------------------------------------


class Frozen(dict[str, Any]):
    """An object that raises AssertionError when it is changed."""

    def _refuse(self, *args: Any, **named: Any) -> Any:
        raise AssertionError("a shared value was changed")

    __setitem__ = __delitem__ = __ior__ = pop = popitem = clear = update = setdefault = _refuse


class FrozenList(list[Any]):
    _refuse = Frozen._refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = append = extend = insert = pop = remove = (
        clear
    ) = sort = reverse = _refuse  # type: ignore[assignment]


def freeze(value: Any) -> Any:
    if isinstance(value, dict):
        return Frozen({name: freeze(member) for name, member in value.items()})
    return FrozenList(map(freeze, value)) if isinstance(value, list) else value


DEEP_OPTIONS = {
    "generationConfig": {"topK": 3},
    "toolConfig": {"x": {"y": 1}},
    "output_config": {"format": {"schema": {"enum": ["pwned"]}}},
    "response_format": {"json_schema": {"schema": {"enum": ["pwned"]}}},
    "text": {"format": {"schema": {"enum": ["pwned"]}}},
    "format": {"enum": ["pwned"]},
    "logit_bias": {"1": 1},
    "metadata": {"a": "b"},
    "thinking": {"x": 1},
    "options": {"x": {"y": 1}},
    "outputConfig": {"textFormat": {"structure": {"jsonSchema": {"name": "pwned"}}}},
}
"""Options that are merged into the objects that dialects build."""


@for_each(with_members("request"))
def test_no_dialect_changes_a_request_or_its_options(case: dict[str, Any]) -> None:
    provider = {name: value for name, value in case["provider"].items() if name != "quirks"}
    target = Target(Provider(name=provider.pop("name", "p"), **provider), case["model"])
    chat = freeze({**case["chat"], "provider_options": {target.provider.name: {**DEEP_OPTIONS}}})
    with contextlib.suppress(UnsupportedField):  # Without its quirks a vendor may refuse it.
        DIALECTS[target.provider.dialect].request(chat, target)


SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("wire", DIALECTS)
def test_one_callers_options_never_reach_another_callers_request(wire: str) -> None:
    """Adapted schemas are shared: what one caller merges into one must not reach another."""
    answer: Any = {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": SCHEMA, "strict": True},
    }
    clean = json.dumps(build_body(wire, response_format=answer))
    injections = json.loads(json.dumps(options_into_schemas(json.loads(clean))))
    for options in injections:
        assert "pwned" in json.dumps(build_body(wire, options, response_format=answer))
    assert json.dumps(build_body(wire, response_format=answer)) == clean


def options_into_schemas(body: Any) -> list[Any]:
    """Options that change each object of a body outside the conversation."""
    options = []
    for name, value in body.items():
        if isinstance(value, dict) and name not in ("messages", "contents", "input"):
            options += [
                {name: {"pwned": 1}},
                *({name: inner} for inner in options_into_schemas(value)),
            ]
    return options


def test_a_merge_copies_every_object_it_changes() -> None:
    inner = {"a": {"b": 1}}
    body = {"config": inner, "list": [1]}
    merge_options(body, {"config": {"a": {"c": 2}}, "list": [2]})
    assert body == {"config": {"a": {"b": 1, "c": 2}}, "list": [2]}
    assert inner == {"a": {"b": 1}}


def test_options_for_one_provider_do_not_reach_the_fallback() -> None:
    """The first provider's body contains objects of the request."""
    chat: Any = {
        "model": "m", "messages": HI, "logit_bias": {"1": 1}, "metadata": {"a": "b"},
        "provider_options": {"first": {"logit_bias": {"2": 2}, "metadata": {"c": "d"}}},
    }  # fmt: skip
    first, second = (
        Target(Provider(name, "openai", "https://api.example/v1"), "m")
        for name in ("first", "second")
    )
    assert DIALECTS["openai"].request(chat, first).body["logit_bias"] == {"1": 1, "2": 2}
    assert DIALECTS["openai"].request(chat, second).body["logit_bias"] == {"1": 1}
