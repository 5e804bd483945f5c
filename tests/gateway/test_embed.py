"""Embeddings from Python code: through routing, limits, prices and records, to a scripted
provider."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings

from native_api import gateway
from native_api.exceptions import NativeError
from native_api.types import Caller
from native_api.usage.entry import UsageEntry
from tests.scripted_provider import Upstream, says

VECTORS = [[0.5, -0.25], [0.125, 1.0]]
REPLY = {
    "object": "list",
    "model": "embedder-1",
    "data": [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in reversed(list(enumerate(VECTORS)))
    ],
    "usage": {"prompt_tokens": 1000, "total_tokens": 1000},
}

pytestmark = pytest.mark.django_db


def embed(provider: Upstream, request: dict[str, Any], **settings: Any) -> gateway.EmbedReply:
    providers = {
        "up": {
            "DIALECT": "openai",
            "BASE_URL": provider.url,
            "API_KEY": "k",
            "PRICE": {"INPUT": "0.1"},
        },
        "claude": {"DIALECT": "anthropic", "BASE_URL": provider.url, "API_KEY": "k"},
        "echo": {"PRESET": "echo"},
    }
    with override_settings(NATIVE_API={"PROVIDERS": providers, **settings}):
        body: Any = request
        return gateway.embed_sync(body, Caller(user_name="a task"))


def test_embeddings_come_in_the_order_of_the_inputs(
    provider: Upstream, records: list[UsageEntry]
) -> None:
    provider.script("embedder", says(REPLY))
    reply = embed(provider, {"model": "up/embedder", "input": ["a", "b"], "dimensions": 2})
    assert [item["embedding"] for item in reply.embeddings["data"]] == VECTORS
    assert reply.headers["x-native-provider"] == "up"
    received = provider.requests_for("embedder")[-1]
    assert received.body == {"model": "embedder", "input": ["a", "b"], "dimensions": 2}


def test_a_call_leaves_one_record_with_its_tokens_and_cost(
    provider: Upstream, records: list[UsageEntry]
) -> None:
    provider.script("priced", says(REPLY))
    embed(provider, {"model": "up/priced", "input": "a text"})
    [entry] = records
    assert (entry.endpoint, entry.status, entry.model) == ("embeddings", "ok", "up/priced")
    assert (entry.prompt_tokens, entry.completion_tokens, entry.total_tokens) == (1000, 0, 1000)
    assert entry.cost == Decimal("0.0001")
    assert not entry.estimated


def test_tokens_are_estimated_if_the_provider_reports_none(
    provider: Upstream, records: list[UsageEntry]
) -> None:
    provider.script("silent", says({**REPLY, "usage": None}))
    embed(provider, {"model": "up/silent", "input": ["x" * 400, "y" * 400]})
    [entry] = records
    assert (entry.prompt_tokens, entry.estimated) == (200, True)


def test_an_option_counts_as_it_is_sent(provider: Upstream, records: list[UsageEntry]) -> None:
    provider.script("longer", says({**REPLY, "usage": None}))
    options = {"up": {"input": "z" * 4000}}
    embed(provider, {"model": "up/longer", "input": "x", "provider_options": options})
    assert records[0].prompt_tokens == 1000


def test_a_provider_without_embeddings_is_skipped(
    provider: Upstream, records: list[UsageEntry]
) -> None:
    provider.script("embedder", says(REPLY))
    targets = [
        {"PROVIDER": "claude", "MODEL": "claude-haiku-4-5"},
        {"PROVIDER": "up", "MODEL": "embedder", "PRIORITY": 1},
    ]
    reply = embed(provider, {"model": "e", "input": "a"}, MODELS={"e": {"TARGETS": targets}})
    assert reply.headers["x-native-provider"] == "up"


def test_without_any_such_provider_the_error_names_the_model(
    provider: Upstream, records: list[UsageEntry]
) -> None:
    with pytest.raises(NativeError) as raised:
        embed(provider, {"model": "claude/claude-haiku-4-5", "input": "a"})
    assert (raised.value.status, raised.value.param) == (400, "model")
    assert [entry.status for entry in records] == ["refused"]


def test_limits_on_tokens_count_the_input(provider: Upstream, records: list[UsageEntry]) -> None:
    provider.script("limited", says(REPLY))
    limit = {"SUBJECT": "everyone", "METRIC": "tokens", "AMOUNT": 50, "WINDOW": "minute"}
    with pytest.raises(NativeError) as raised:
        embed(provider, {"model": "up/limited", "input": "x" * 400}, LIMITS=[limit])
    assert (raised.value.status, raised.value.code) == (429, "rate_limit_exceeded")
    assert not provider.requests_for("limited")


@pytest.mark.parametrize(
    "reply", [{"data": []}, {"data": [{"index": 0}]}, {"error": {"message": "no"}}]
)
def test_a_reply_without_embeddings_is_the_providers_fault(
    provider: Upstream, records: list[UsageEntry], reply: dict[str, Any]
) -> None:
    provider.script("broken", says(reply))
    with pytest.raises(NativeError) as raised:
        embed(provider, {"model": "up/broken", "input": "a"}, ATTEMPTS={"RETRIES": 0})
    assert raised.value.status == 502
    assert [entry.status for entry in records] == ["upstream_error"]


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_echo_embeds_without_a_provider(
    provider: Upstream, records: list[UsageEntry], encoding: str
) -> None:
    request = {
        "model": "echo/echo",
        "input": ["same", "other", "same"],
        "encoding_format": encoding,
    }
    first, other, last = (item["embedding"] for item in embed(provider, request).embeddings["data"])
    assert first == last != other
