"""Which models of a provider's list become routes, and under which names."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from native_api.catalog.presets import ROWS, Preset
from native_api.management.model_lists import (
    MAX_MODELS,
    choose_models,
    is_chat_model,
    list_url,
    model_name,
    read_entries,
)
from native_api.pricing import lookup
from native_api.types import Provider, Target
from tests.cases import each

LISTS: list[tuple[str, Any, tuple[str, ...]]] = [
    (
        "openai",
        {
            "data": [
                {"id": "gpt-4o-mini", "created": 1},
                {"id": "gpt-4o-mini-2024-07-18", "created": 1},
                {"id": "gpt-5-nano", "created": 3},
                {"id": "gpt-5-nano-2025-08-07", "created": 3},
                {"id": "gpt-5-codex", "created": 4},
                {"id": "gpt-5-pro", "created": 4},
                {"id": "gpt-4o-mini-tts", "created": 4},
                {"id": "gpt-4o-transcribe", "created": 4},
                {"id": "gpt-realtime", "created": 4},
                {"id": "gpt-audio", "created": 4},
                {"id": "gpt-image-1", "created": 4},
                {"id": "omni-moderation-latest", "created": 4},
                {"id": "text-embedding-3-small", "created": 4},
                {"id": "gpt-3.5-turbo-instruct", "created": 4},
                {"id": "dall-e-3", "created": 4},
                {"id": "whisper-1", "created": 4},
                {"id": "sora-2", "created": 4},
            ]
        },
        ("gpt-5-nano", "gpt-4o-mini"),
    ),
    (
        "anthropic",
        {"data": [{"type": "model", "id": "claude-haiku-4-5-20251001"}]},
        ("claude-haiku-4-5-20251001",),
    ),
    (
        "gemini",
        {
            "models": [
                {"name": "models/gemini-flash", "supportedGenerationMethods": ["generateContent"]},
                {"name": "models/text-004", "supportedGenerationMethods": ["embedContent"]},
            ]
        },
        ("gemini-flash",),
    ),
    ("cohere", {"models": [{"name": "command-a", "endpoints": ["chat"]}]}, ("command-a",)),
    (
        "ollama",
        {
            "models": [
                {"name": "qwen3:8b", "model": "qwen3:8b", "details": {"family": "qwen3"}},
                {"name": "paraphrase:latest", "details": {"family": "bert"}},
                {"name": "nomic-embed-text:latest", "details": {"family": "nomic-bert"}},
                {"name": "all-minilm:latest", "details": {}},
            ]
        },
        ("qwen3:8b",),
    ),
    ("vllm", {"data": [{"id": "Qwen/Qwen3-8B"}, {"id": "BAAI/bge-m3"}]}, ("Qwen/Qwen3-8B",)),
    ("lmstudio", {"data": [{"id": "text-embedding-nomic"}, {"id": "gemma-3"}]}, ("gemma-3",)),
    ("together", [{"id": "a/chat", "type": "chat"}, {"id": "b", "type": "embedding"}], ("a/chat",)),
    (
        "mistral",
        {
            "data": [
                {"id": "mistral-small", "capabilities": {"completion_chat": True}},
                {"id": "mistral-special", "capabilities": {"completion_chat": False}},
            ]
        },
        ("mistral-small",),
    ),
    (
        "openrouter",
        {
            "data": [
                {"id": "x/draws", "architecture": {"output_modalities": ["image"]}},
                {"id": "x/chats", "architecture": {"output_modalities": ["text"]}},
            ]
        },
        ("x/chats",),
    ),
]
"""Preset, its list, and the models that chat."""


@each("vendor, answer, chat_models", LISTS)
def test_only_chat_models_become_routes(
    vendor: str, answer: Any, chat_models: tuple[str, ...]
) -> None:
    found = choose_models(read_entries(orjson.dumps(answer)), vendor)
    assert found.models == chat_models
    assert found.total == len(chat_models)


@each("body", [b"", b"<html>", b"{}", b"[]", b'"text"', b'{"data": 1}', b'{"data": [1, null]}'])
def test_an_answer_without_a_list_has_no_models(body: bytes) -> None:
    found = choose_models(read_entries(body), "openai")
    assert (found.models, found.problem) == ((), "it lists no chat model")


@each("name", ["a'; rm -rf ~; '", "two words", "x\n", "", None, 7, "../x y", "n" * 201])
def test_a_name_that_a_caller_could_not_send_is_left_out(name: Any) -> None:
    """The name is printed in a command line, too."""
    assert model_name({"id": name}) == ""


def test_there_are_not_more_than_so_many_and_the_newest_come_first() -> None:
    entries = [{"id": f"model-{number}", "created": number} for number in range(MAX_MODELS + 50)]
    found = choose_models(entries, "openrouter")
    assert found.models[0] == f"model-{MAX_MODELS + 49}"
    assert (len(found.models), found.total) == (MAX_MODELS, MAX_MODELS + 50)


@each("name", ["gemini-3.8-live", "gemini-live-2.5-flash", "gemini-nano-banana-2.1"])
def test_models_of_other_kinds_are_known_by_their_names(name: str) -> None:
    assert not is_chat_model({"id": name})


@each("name", ["olive-7b", "gpt-5-pro", "llama-3.1-8b-instruct", "sonar"])
def test_models_that_only_look_like_them_stay(name: str) -> None:
    assert is_chat_model({"id": name})


@each("entry", [{"type": ["chat"]}, {"details": [1]}, {"created": "now"}, {"architecture": 1}])
def test_members_of_another_shape_say_nothing(entry: Any) -> None:
    assert choose_models([{"id": "m", **entry}], "").models == ("m",)


@each("row", [row for row in ROWS if row.starter_model])
def test_the_model_to_start_with_is_one_that_the_vendor_prices_today(row: Preset) -> None:
    provider = Provider("p", row.dialect, row.base_url, vendor=row.name)
    assert lookup.price_of(Target(provider, row.starter_model)) is not None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_list_is_asked_for_only_where_the_key_may_go(row: Preset) -> None:
    """And not of hosts whose list has models that the account has not deployed."""
    url = list_url(
        Provider("p", row.dialect, row.base_url, options=dict.fromkeys(row.options, "x"))
    )
    assert (url == "") == bool(row.options)
    if url:
        assert url.startswith(row.base_url.removesuffix("/v2"))
