"""What the gateway owns in a provider's body cannot be set by any way in, on any wire; what came
with a request is not changed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.shared.gateway_owned import (
    OWNED_MEMBERS,
    read_choice_count,
    read_output_limit,
    read_requested_tier,
)
from native_api.dialects.shared.provider_options import merge_options
from native_api.exceptions import UnsupportedField
from native_api.types import Provider, Target

HI: Any = [{"role": "user", "content": "Hi"}]
MODELS = {
    "bedrock": "anthropic.claude-sonnet-4-5",
    "gemini": "gemini-2.5-pro",
    "openai_responses": "gpt-5",
}
OPTIONS = {"anthropic_vertex": {"project": "p"}}
FOLDER = Path(__file__).resolve().parent.parent / "recordings"


USER_BLOCKS = ("anthropic", "gemini")
"""Wires that take blocks of their own in a user's message."""


def target(wire: str, base_url: str = "https://api.example/v1", **more: Any) -> Target:
    return Target(
        Provider("p", wire, base_url, options=OPTIONS.get(wire, {}), **more), MODELS.get(wire, "m")
    )


def body_of(wire: str, options: Any = None, at: Target | None = None, **fields: Any) -> Any:
    chat: Any = {"model": "m", "messages": HI, **fields}
    if options is not None:
        chat["provider_options"] = {"p": options}
    request = DIALECTS[wire].request(chat, at or target(wire))
    assert json.loads(request.content) == json.loads(json.dumps(request.body))
    return request.body


def refused(
    wire: str, options: Any = None, at: Target | None = None, **fields: Any
) -> UnsupportedField:
    with pytest.raises(UnsupportedField) as caught:
        body_of(wire, options, at, **fields)
    return caught.value


# --- owned members -----------------------------------------------------------------------------------------


def nested(path: str, value: Any) -> Any:
    """`options.num_predict` -> {"options": {"num_predict": value}}; `tools[].model` -> {"tools":
    [{"model": value}]}."""
    first, _, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    return {first.removesuffix("[]"): [inner]} if first.endswith("[]") else {first: inner}


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def spellings(path: str) -> set[str]:
    """As Google's servers and Go's JSON decoder read names too."""
    return {path, snake(path), path.upper(), path.replace("_", "")}


VALUES = [None, 1, 0, -1, 100_000.0, "100000", True, False, [], {}, 10**30]


@pytest.mark.parametrize("wire", OWNED_MEMBERS)
def test_no_option_sets_a_member_that_the_gateway_owns(wire: str) -> None:
    """Every member, in every spelling that a server may accept, with every kind of value."""
    for path in OWNED_MEMBERS[wire]:
        for spelling in spellings(path):
            for value in VALUES:
                assert refused(wire, nested(spelling, value)).param == place(
                    f"provider_options.p.{spelling}"
                ), (spelling, value)


def place(path: str) -> str:
    return path.replace("[]", "[0]")


@pytest.mark.parametrize("wire", OWNED_MEMBERS)
@pytest.mark.parametrize("value", [None, 0, "x", [1]], ids=str)
def test_no_option_puts_another_value_around_an_owned_member(wire: str, value: Any) -> None:
    """`{"generationConfig": null}` would remove the limit of the output."""
    for parent in {
        path.partition(".")[0] for path in OWNED_MEMBERS[wire] if "." in path and "[]" not in path
    }:
        assert refused(wire, {parent: value}).param == f"provider_options.p.{parent}"


@pytest.mark.parametrize("wire", OWNED_MEMBERS)
def test_what_a_provider_keeps_may_be_named_if_the_site_says_that_all_callers_share_it(
    wire: str,
) -> None:
    for path in [path for path, kind in OWNED_MEMBERS[wire].items() if kind == "state"]:
        assert body_of(wire, nested(path, "x"), target(wire, own_account=True))


@pytest.mark.parametrize("wire", OWNED_MEMBERS)
def test_other_options_are_merged(wire: str) -> None:
    assert body_of(wire, {"top_secret": {"a": [1]}})["top_secret"] == {"a": [1]}


@pytest.mark.parametrize("wire", OWNED_MEMBERS)
def test_providers_are_asked_not_to_store(wire: str) -> None:
    request = DIALECTS[wire].request({"model": "m", "messages": HI, "store": True}, target(wire))
    assert request.body.get("store") in (None, False)
    assert request.omitted == ("store",)


@pytest.mark.parametrize("wire", ["openai", "openai_responses", "gemini"])
def test_a_provider_whose_account_all_callers_share_stores_what_a_client_wants_stored(
    wire: str,
) -> None:
    assert body_of(wire, at=target(wire, own_account=True), store=True)["store"] is True


@pytest.mark.parametrize("wire", OWNED_MEMBERS)
def test_the_limit_and_the_number_of_answers_are_read_from_the_body_as_it_is_sent(
    wire: str,
) -> None:
    assert read_output_limit(wire, body_of(wire, max_completion_tokens=77)) == 77
    assert read_choice_count(wire, body_of(wire)) == 1
    if wire in ("openai", "gemini"):
        assert read_choice_count(wire, body_of(wire, n=3)) == 3


@pytest.mark.parametrize(
    ("wire", "tier"),
    [("openai", "flex"), ("openai_responses", "flex"), ("gemini", "flex"), ("bedrock", "flex")],
)
def test_the_service_tier_is_read_from_the_body_as_it_is_sent(wire: str, tier: str) -> None:
    assert read_requested_tier(wire, body_of(wire, service_tier=tier)) == tier
    assert read_requested_tier(wire, body_of(wire)) == ""


# --- nothing is changed ------------------------------------------------------------------------------------


class Frozen(dict[str, Any]):
    """An object that nobody may change."""

    def _refuse(self, *args: Any, **named: Any) -> Any:
        raise AssertionError("a value that others share was changed")

    __setitem__ = __delitem__ = __ior__ = pop = popitem = clear = update = setdefault = _refuse


class FrozenList(list[Any]):
    _refuse = Frozen._refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = append = extend = insert = pop = remove = (
        clear
    ) = sort = reverse = _refuse  # type: ignore[assignment]


def frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return Frozen({name: frozen(member) for name, member in value.items()})
    return FrozenList(map(frozen, value)) if isinstance(value, list) else value


def recorded() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*/*.json")):
        case = json.loads(path.read_text())
        if "request" in case:
            yield pytest.param(case, id=f"{path.parent.name}-{path.stem}")


DEEP = {"generationConfig": {"topK": 3}, "toolConfig": {"x": {"y": 1}}, "output_config": {"format": {"schema": {"enum": ["pwned"]}}},
        "response_format": {"json_schema": {"schema": {"enum": ["pwned"]}}}, "text": {"format": {"schema": {"enum": ["pwned"]}}},
        "format": {"enum": ["pwned"]}, "logit_bias": {"1": 1}, "metadata": {"a": "b"}, "thinking": {"x": 1}, "options": {"x": {"y": 1}},
        "outputConfig": {"textFormat": {"structure": {"jsonSchema": {"name": "pwned"}}}}}  # fmt: skip
"""Options that reach into whatever a dialect builds."""


@pytest.mark.parametrize("case", list(recorded()))
def test_no_dialect_changes_a_request_or_its_options(case: dict[str, Any]) -> None:
    told = {name: value for name, value in case["provider"].items() if name != "quirks"}
    at = Target(Provider(name=told.pop("name", "p"), **told), case["model"])
    chat = frozen({**case["chat"], "provider_options": {at.provider.name: {**DEEP}}})
    with contextlib.suppress(UnsupportedField):  # without its quirks a vendor may refuse it
        DIALECTS[at.provider.dialect].request(chat, at)


SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("wire", OWNED_MEMBERS)
def test_one_callers_options_never_reach_another_callers_request(wire: str) -> None:
    """Schemas are adapted once and remembered: what Alice merges into hers is not there for Bob."""
    answer: Any = {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": SCHEMA, "strict": True},
    }
    clean = json.dumps(body_of(wire, response_format=answer))
    words = json.loads(json.dumps(paths_to_schema(json.loads(clean))))
    for options in words:
        assert "pwned" in json.dumps(body_of(wire, options, response_format=answer))
    assert json.dumps(body_of(wire, response_format=answer)) == clean


def paths_to_schema(body: Any) -> list[Any]:
    """Options that reach each object of a body outside the conversation, and change it."""
    found = []
    for name, value in body.items():
        if isinstance(value, dict) and name not in ("messages", "contents", "input"):
            found += [{name: {"pwned": 1}}, *({name: inner} for inner in paths_to_schema(value))]
    return found


def test_a_merge_makes_every_object_on_its_way_new() -> None:
    inner = {"a": {"b": 1}}
    body = {"config": inner, "list": [1]}
    merge_options(body, {"config": {"a": {"c": 2}}, "list": [2]})
    assert body == {"config": {"a": {"b": 1, "c": 2}}, "list": [2]}
    assert inner == {"a": {"b": 1}}


def test_options_for_one_provider_do_not_reach_the_fallback() -> None:
    """The request's own objects stand in the first provider's body."""
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
