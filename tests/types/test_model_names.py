"""One name for one model: for every vendor, access, limits, prices and health are the same for all
spellings that it takes for a model."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from native_api.access.model_access import may_use
from native_api.catalog import catalog
from native_api.catalog.presets import PRESETS
from native_api.exceptions import ModelNotFound
from native_api.limits.rules import Rule, parse_rule
from native_api.pricing import lookup
from native_api.types import Caller, Target
from native_api.types.model_names import Named, canonical, covers, is_plain, related
from tests.usage.usage_factory import make_target

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
IN_EUROPE = f"eu.{CLAUDE}"
PUBLISHER = "publishers/google/models/gemini-2.5-pro"
OWN_WAYS: dict[str, list[str]] = {
    "gemini": [
        "gemini-2.5-pro", "models/gemini-2.5-pro", "Gemini-2.5-Pro", "MODELS/GEMINI-2.5-PRO",
        PUBLISHER,
    ],
    "vertex": [
        "gemini-2.5-pro", "models/gemini-2.5-pro", PUBLISHER,
        f"projects/p/locations/eu/{PUBLISHER}",
    ],
    "vertex-anthropic": [
        "claude-sonnet-4-5@20250929", "publishers/anthropic/models/claude-sonnet-4-5@20250929",
    ],
    "bedrock": [CLAUDE, f"arn:aws:bedrock:us-east-1::foundation-model/{CLAUDE}", CLAUDE.upper()],
    "ollama": [
        "llama3", "LLAMA3", "llama3:latest", "llama3:LATEST", "library/llama3",
        "Library/llama3:latest", "registry.ollama.ai/library/llama3",
        "registry.ollama.ai/library/Llama3:latest", "ollama.com/library/llama3",
    ],
}  # fmt: skip
PRICED = {
    "openai": "gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "mistral": "mistral-large-latest",
    "openrouter": "openai/gpt-4o",
}


def ways(preset: str) -> list[str]:
    """Spellings of one model that the vendor takes for the same, or that name nothing there."""
    model = PRICED.get(preset, "some-model")
    return OWN_WAYS.get(preset, [model, model.upper(), model.title()])


MORE = [
    (
        "bedrock",
        [IN_EUROPE, f"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/{IN_EUROPE}"],
    )
]
KINDS = [*((preset, ways(preset)) for preset in PRESETS), *MORE]
every_vendor = pytest.mark.parametrize(
    ("preset", "models"), KINDS, ids=lambda value: value if isinstance(value, str) else ""
)


def provider(preset: str) -> catalog.Catalog:
    return catalog.Catalog({"p": make_target(preset, "x").provider})


def limit(pattern: str) -> Rule:
    return parse_rule(
        {
            "SUBJECT": "everyone",
            "METRIC": "requests",
            "AMOUNT": 1,
            "WINDOW": "day",
            "MODELS": pattern,
        }
    )


@every_vendor
class TestEverySpelling:
    def test_is_one_name(self, preset: str, models: list[str]) -> None:
        assert len({canonical(model) for model in models}) == 1

    def test_is_admitted_and_refused_alike(self, preset: str, models: list[str]) -> None:
        snapshot = provider(preset)
        for granted, asked in product(models, models):
            narrowed = Caller(allowed_models=(f"p/{granted}",))
            assert may_use(narrowed, snapshot.named(f"p/{asked}")), (granted, asked)
            assert not may_use(
                Caller(allowed_models=(f"q/{granted}",)), snapshot.named(f"p/{asked}")
            )
            assert not may_use(Caller(granted_models=("p/another*",)), snapshot.named(f"p/{asked}"))

    def test_is_limited_alike(self, preset: str, models: list[str]) -> None:
        for written, asked in product(models, models):
            for pattern in (
                f"p/{written}",
                f"p/{written}*",
                f"p/{written[:-1]}?",
                written.rpartition("/")[2],
            ):
                assert limit(pattern).covers([f"p/{asked}"]), (pattern, asked)
            assert not limit(f"q/{written}").covers([f"p/{asked}"])
            assert not limit("p/another*").covers([f"p/{asked}"])

    def test_costs_the_same(self, preset: str, models: list[str]) -> None:
        tables = [lookup.price_of(make_target(preset, model)) for model in models]
        assert all(table == tables[0] for table in tables)
        assert tables[0] or preset not in {
            *PRICED,
            "gemini",
            "vertex",
            "vertex-anthropic",
            "bedrock",
        }

    def test_shares_health_and_slots(self, preset: str, models: list[str]) -> None:
        assert len({make_target(preset, model).key for model in models}) == 1

    def test_is_sent_as_it_was_written(self, preset: str, models: list[str]) -> None:
        snapshot = provider(preset)
        assert [snapshot.targets(f"p/{model}")[0].model for model in models] == models


VARIANTS = [
    ("gpt-4o", "gpt-4o-2024-08-06"),
    ("openai/gpt-4o", "openai/gpt-4o:free"),
    ("openai/gpt-4o", "openai/gpt-4o:nitro"),
    ("openai/gpt-4o", "openai/gpt-4o:nitro:online"),
    ("openai/gpt-4o", "openai/gpt-4o@preset/mails"),
    ("meta-llama/Llama-3.3-70B", "meta-llama/Llama-3.3-70B:groq"),
    ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("claude-sonnet-4-5", "claude-sonnet-4-5@20250929"),
    ("claude-sonnet-4-5", "publishers/anthropic/models/claude-sonnet-4-5@default"),
    ("mistral-large", "mistral-large-latest"),
    ("gemini-2.0-flash", "models/gemini-2.0-flash-001"),
    ("llama3", "library/llama3:8b"),
    ("llama3", "llama3:latest@sha256-0123"),
    (CLAUDE, IN_EUROPE),
    (
        "anthropic.claude-sonnet-4-5",
        f"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/{IN_EUROPE}",
    ),
    ("ft:gpt-4o-mini", "ft:gpt-4o-mini-2024-07-18:acme::abc"),
]


@pytest.mark.parametrize(("plain", "variant"), VARIANTS)
class TestAVariant:
    def test_is_limited_with_the_plain_name_and_never_the_other_way(
        self, plain: str, variant: str
    ) -> None:
        assert limit(f"p/{plain}").covers([f"p/{variant}"])
        assert not limit(f"p/{variant}").covers([f"p/{plain}"])

    def test_is_another_model_for_access(self, plain: str, variant: str) -> None:
        assert not may_use(Caller(allowed_models=(f"p/{plain}",)), Named("", "p", variant))

    def test_is_another_target(self, plain: str, variant: str) -> None:
        known = make_target("openai", plain).provider
        assert Target(known, plain).key != Target(known, variant).key


def test_a_variant_has_the_price_of_no_other() -> None:
    assert lookup.price_of(make_target("openrouter", "openai/gpt-4o"))
    for suffix in (":free", ":nitro", ":online"):
        assert lookup.price_of(make_target("openrouter", f"openai/gpt-4o{suffix}")) is None


@pytest.mark.parametrize(
    "pattern", ["gpt-4o", "gpt-4o*", "GPT-4O", "p/gpt*", "*4o*", "*/gpt-4o", "P*"]
)
def test_a_limit_covers_a_model_by_whatever_pattern(pattern: str) -> None:
    assert covers(pattern, "p/GPT-4o")


@pytest.mark.parametrize(
    ("pattern", "admitted"),
    [
        ("*", True),
        ("p/*", True),
        ("P/*", False),
        ("p/GPT*", True),
        ("*/gpt-4?", True),
        ("*4O", True),
        ("gpt-4o", False),
        ("gpt*", False),
        ("p/models/gpt-4o", True),
        ("p/tunedModels/*", False),
    ],
)
def test_what_a_pattern_of_access_admits(pattern: str, admitted: bool) -> None:
    assert may_use(Caller(allowed_models=(pattern,)), Named("", "p", "gpt-4o")) is admitted


@pytest.mark.parametrize("account", ["*", "123456789012"])
def test_a_pattern_of_access_with_an_arn_means_the_profile_and_no_more(account: str) -> None:
    prefix = f"arn:aws:bedrock:eu-west-1:{account}:inference-profile"
    assert may_use(Caller(allowed_models=(f"p/{prefix}/eu.*",)), Named("", "p", IN_EUROPE))
    assert not may_use(Caller(allowed_models=(f"p/{prefix}/eu.*",)), Named("", "p", CLAUDE))
    assert not may_use(Caller(allowed_models=(f"p/{prefix}/*",)), Named("", "p", CLAUDE))
    assert may_use(Caller(allowed_models=(f"p/{prefix}/*",)), Named("", "p", IN_EUROPE))
    assert not may_use(
        Caller(allowed_models=("p/arn:aws:bedrock:*::foundation-model/*",)),
        Named("", "p", IN_EUROPE),
    )
    assert limit(f"p/{prefix}/*").covers([f"p/{IN_EUROPE}"])


@pytest.mark.parametrize(
    "pattern",
    [
        "p/o*",
        "p/r*",
        "p/m*",
        "p/l*",
        "p/p*",
        "p/a*",
        "p/*latest",
        "p/*t",
        "p/*library*",
        "p/ollama.com/o*",
    ],
)
@pytest.mark.parametrize(
    "model", ["x", "ollama.com/library/x", "models/x", "x:latest", "publishers/google/models/x"]
)
def test_no_pattern_means_a_model_by_what_could_be_written_around_its_name(
    pattern: str, model: str
) -> None:
    assert not may_use(Caller(allowed_models=(pattern,)), Named("", "p", model))
    assert model != "x" or not limit(pattern).covers([f"p/{model}"])


@pytest.mark.parametrize(
    "pattern",
    [
        "p/library/*",
        "p/models/*",
        "p/llama3:*",
        "p/*:latest",
        "p/ollama.com/l*",
        "p/lib*",
        "p/library/llama3",
    ],
)
def test_a_pattern_may_tell_a_prefix_or_a_tag(pattern: str) -> None:
    meant = pattern != "p/lib*"
    assert [
        may_use(Caller(allowed_models=(pattern,)), Named("", "p", model))
        for model in OWN_WAYS["ollama"]
    ] == [meant] * 9


def test_a_tuned_model_is_no_spelling_of_another() -> None:
    assert not may_use(Caller(allowed_models=("p/models/*",)), Named("", "p", "tunedModels/gpt-4o"))
    assert may_use(Caller(allowed_models=("p/models/*",)), Named("", "p", "gpt-4o"))


def test_names_of_the_sites_own_are_compared_as_they_are_written() -> None:
    assert may_use(Caller(allowed_models=("fast*",)), Named("fast-1"))
    assert not may_use(Caller(allowed_models=("fast*",)), Named("Fast-1"))


# --- names that callers invent -------------------------------------------------------------------

NOT_PLAIN = [
    "", "/gpt-4o", "gpt-4o/", "a//b", "a/./b", "a/../b", "..", ".", "gpt-4o ", " gpt-4o", "gpt 4o",
    "gpt-4o\0", "gpt-4o\n", "gpt-4o\t", "gpt-4o?x=1", "gpt-4o#x", "gpt%2d4o", "%2e%2e/x",
    "gpt-4o\\x", "https://ollama.com/library/llama3", "ｇｐｔ-4o", "gрt-4o", "\u212aimi",
    "gpt-4o\u200b", "gpt*", "gpt[4]o", "{model}", "gpt-4o;x", "'gpt-4o'", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("model", NOT_PLAIN)
def test_a_name_that_a_server_could_read_otherwise_is_no_model(model: str) -> None:
    snapshot = provider("openai")
    assert not is_plain(model)
    with pytest.raises(ModelNotFound):
        snapshot.route(f"p/{model}")
    assert not may_use(
        Caller(allowed_models=("p/gpt-4o*",)), snapshot.named(f"p/{model}")
    ) or model.startswith("gpt-4o")


@pytest.mark.parametrize("models", [models for _, models in KINDS], ids=lambda models: models[0])
def test_the_vendors_own_names_are_plain(models: list[str]) -> None:
    assert all(map(is_plain, models))
    assert all(is_plain(variant) for _, variant in VARIANTS)
    assert is_plain("@cf/meta/llama-3.1-8b-instruct")


@pytest.mark.parametrize("name", ["P/gpt-4o", "p/", "p", "/gpt-4o"])
def test_a_providers_name_is_taken_as_it_is_written(name: str) -> None:
    with pytest.raises(ModelNotFound):
        provider("openai").route(name)


def test_a_route_that_is_named_like_a_providers_model_is_found_by_every_spelling() -> None:
    local = {"DIALECT": "openai", "BASE_URL": "http://127.0.0.1:1/v1", "API_KEY": "k"}
    models: dict[str, Any] = {"p/gpt-4o": {"TARGETS": [{"PROVIDER": "p", "MODEL": "cheaper"}]}}
    snapshot = catalog.build({"p": local}, models)
    for name in ("p/gpt-4o", "p/GPT-4o", "p/models/gpt-4o", "p/gpt-4o:latest"):
        assert (snapshot.named(name), snapshot.targets(name)[0].model) == (
            Named("p/gpt-4o"),
            "cheaper",
        )
    assert snapshot.targets("p/gpt-4")[0].model == "gpt-4"
    assert not catalog.build({"p": local}, models, allow_direct=False).named("p/GPT-4o").is_known


@pytest.mark.parametrize(
    "name", ["a:b" * 60, "a@" * 90, "models/" * 28, "a-2024-08-06" * 16, ":" * 190, "a/" * 90 + "a"]
)
def test_no_name_has_very_many_spellings(name: str) -> None:
    assert len(related(name)) <= 20
