"""A field that nobody here knows goes on as it was written on OpenAI's wire, and is reported on any
other. What the gateway owns does not get through in any spelling."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.shared.gateway_owned import REASONS
from native_api.exceptions import UnsupportedField
from native_api.operations import EMBEDDINGS
from native_api.types import Provider, Target
from native_api.upstream.files.inline import refuse_addresses
from native_api.usage.tokens import sent_tokens
from tests.cases import each

HI = [{"role": "user", "content": "Hi"}]
UNKNOWN: dict[str, Any] = {"kv_transfer": {"a": [1, {"b": None}]}, "seat": 4}


def build_target(wire: str, own_account: bool = False) -> Target:
    options = {"region": "eu-west-1", "project": "p", "location": "global"}
    provider = Provider(
        "p", wire, "https://api.example/v1", options=options, own_account=own_account
    )
    return Target(provider, "m")


def build(wire: str, **fields: Any) -> Any:
    chat: Any = {"model": "m", "messages": HI, **fields}
    return DIALECTS[wire].request(chat, build_target(wire))


@pytest.mark.parametrize("wire", DIALECTS)
def test_it_goes_on_or_is_reported(wire: str) -> None:
    plain, request = build(wire), build(wire, **UNKNOWN)
    if wire == "openai":
        assert request.body == {**plain.body, **UNKNOWN}
        assert request.omitted == ()
    else:
        assert request.body == plain.body
        assert sorted(request.omitted) == sorted(UNKNOWN)


@pytest.mark.parametrize("wire", DIALECTS)
def test_null_says_nothing(wire: str) -> None:
    request = build(wire, seat=None)
    assert (request.body, request.omitted) == (build(wire).body, ())


@pytest.mark.parametrize("way", ["request", "forward"])
@pytest.mark.parametrize("own_account", [False, True])
def test_what_the_gateway_owns_is_refused_in_any_spelling(way: str, own_account: bool) -> None:
    dialect = DIALECTS["openai"]
    target = build_target("openai", own_account)
    for path, kind in dialect.owned_members.items():
        name = path.partition(".")[0]
        if name in UNIFIED or "." in path or (kind == "state" and own_account):
            continue
        for spelling in (name, name.upper(), name.replace("_", ""), name.replace("_", "-")):
            chat: Any = {"model": "m", "messages": HI, spelling: "x"}
            with pytest.raises(UnsupportedField) as refused:
                getattr(dialect, way)(chat, target)
            assert (refused.value.param, REASONS[kind] in refused.value.message) == (spelling, True)


UNIFIED = frozenset({"model", "fallbacks", "stream", "stream_options", "max_tokens", "n", "tools[]",
                     "max_completion_tokens", "service_tier", "store"})  # fmt: skip


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_an_extra_body_is_looked_into(depth: int) -> None:
    body: Any = {"store": True}
    for _ in range(depth):
        body = {"extra_body": body}
    with pytest.raises(UnsupportedField) as refused:
        build("openai", **body)
    assert refused.value.param == ".".join(["extra_body"] * depth + ["store"])


@each("name", ["seat", "data", "response", "parameters", "documents", "Args"])
def test_what_they_name_is_inspected(name: str) -> None:
    """Neither what a provider stores, nor a URL for a server in the site's own network."""
    with pytest.raises(UnsupportedField):
        build("openai", **{name: {"x": [{"file_id": "file-1"}]}})
    internal = Provider("p", "openai", "http://10.0.0.1/v1")
    chat: Any = {"model": "m", "messages": HI, name: {"x": [{"link": "http://10.0.0.2/"}]}}
    body = DIALECTS["openai"].request(chat, Target(internal, "m")).body
    with pytest.raises(UnsupportedField, match="must not fetch URLs"):
        refuse_addresses(body, chat, internal)


def test_they_count_in_the_estimate() -> None:
    request = build("openai", documents=["word " * 10_000])
    assert sent_tokens(request.body, request.content) > 10_000
    embedding: Any = {"model": "e", "input": "a", "documents": ["word " * 10_000]}
    body = DIALECTS["openai"].embeddings_request(embedding, build_target("openai")).body
    assert EMBEDDINGS.estimate_sent(embedding, body, b"") > 10_000


def test_embeddings_pass_them_on() -> None:
    dialect, target = DIALECTS["openai"], build_target("openai")
    request: Any = {"model": "e", "input": "a", "input_type": "query", "seat": None}
    body = dialect.embeddings_request(request, target).body
    assert body == {"model": "m", "input": "a", "input_type": "query"}
    for name in ("models", "extra_body", "File_ID"):
        value: Any = {"models": ["x"]} if name == "extra_body" else "x"
        with pytest.raises(UnsupportedField):
            dialect.embeddings_request({**request, name: value}, target)
