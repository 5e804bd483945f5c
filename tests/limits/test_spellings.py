"""Over HTTP, for three wires: every spelling of a model is admitted, limited, charged and counted
alike, and sent as it was written.

And names that callers make up: the records keep them, the totals of the day do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from native_api.usage.totals_names import UNKNOWN_MODEL
from tests.limits.api_client import call, create_key, error_of, get, single_site, user_with_key
from tests.limits.conftest import native_api
from tests.scripted_provider import Exchange, Upstream, completion
from tests.servers import Site, manage, until

SPELLINGS = {
    "gemini": (
        "gemini-2.5-pro",
        "models/gemini-2.5-pro",
        "Gemini-2.5-PRO",
        "models/GEMINI-2.5-pro",
    ),
    "ollama": (
        "llama3",
        "LLAMA3",
        "library/llama3",
        "llama3:latest",
        "Library/Llama3:Latest",
        "registry.ollama.ai/library/llama3",
    ),
    "openai": ("gpt-4o", "GPT-4o", "gPT-4O"),
}
CANONICAL = {"gemini": "gemini-2.5-pro", "ollama": "llama3", "openai": "gpt-4o"}
AMOUNT = 2

GEMINI: dict[str, Any] = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}
    ],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12},
}
OLLAMA: dict[str, Any] = {
    "message": {"role": "assistant", "content": "Hello"},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 9,
    "eval_count": 3,
}


async def as_vendors_do(exchange: Exchange) -> None:
    path, body = exchange.received.path, exchange.received.body
    if "made-up" in path or "made-up" in str(body.get("model")):
        await exchange.json({"error": {"message": "no such model", "code": "model_not_found"}}, 404)
    elif "generateContent" in path:
        await exchange.json(GEMINI)
    else:
        await exchange.json(OLLAMA if path.endswith("/api/chat") else completion())


def providers(root: str) -> dict[str, Any]:
    gemini = {"PRESET": "gemini", "BASE_URL": f"{root}/v1beta", "API_KEY": "k"}
    ollama = {"PRESET": "ollama", "BASE_URL": root, "PRICE": {"INPUT": "1", "OUTPUT": "2"}}
    openai = {"PRESET": "openai", "BASE_URL": f"{root}/v1", "API_KEY": "k"}
    once = {"gemini": gemini, "ollama": ollama, "openai": openai}
    return {**once, **{f"limited-{name}": definition for name, definition in once.items()}}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Site]:
    limits = [
        {
            "SUBJECT": "each_user",
            "METRIC": "requests",
            "AMOUNT": AMOUNT,
            "WINDOW": "lifetime",
            "MODELS": f"limited-{wire}/{model}*",
        }
        for wire, model in CANONICAL.items()
    ]
    models = {
        "real": {"TARGETS": [{"PROVIDER": "openai", "MODEL": "gpt-4o"}]},
        "failing": {"TARGETS": [{"PROVIDER": "openai", "MODEL": "made-up-by-an-operator"}]},
    }
    attempts = {"RETRIES": 0, "MAX": 2, "START_WITHIN": 5}
    settings = native_api(
        upstream,
        limits,
        PROVIDERS=providers(upstream.url.removesuffix("/v1")),
        MODELS=models,
        ATTEMPTS=attempts,
    )
    upstream.default_script = as_vendors_do
    with single_site(tmp_path_factory, settings) as running:
        yield running


def records_of(site: Site, user: str, count: int) -> list[tuple[Any, ...]]:
    statement = (
        "SELECT model, provider_model, cost, status FROM native_api_usagerecord "
        "WHERE user_name = ? ORDER BY id"
    )
    until(lambda: len(site.rows(statement, user)) == count, f"{count} records")
    return [tuple(row) for row in site.rows(statement, user)]


def totals_of(site: Site, user: str) -> list[tuple[Any, ...]]:
    statement = (
        "SELECT model, provider_model, status, sum(requests) FROM native_api_dailyusage "
        "WHERE user_name = ?"
    )
    return [
        tuple(row)
        for row in site.rows(
            f"{statement} GROUP BY model, provider_model, status ORDER BY model, status", user
        )
    ]


@pytest.mark.parametrize("wire", SPELLINGS)
class TestEverySpelling:
    def test_every_spelling_is_admitted_and_sent_as_written(
        self, site: Site, upstream: Upstream, wire: str
    ) -> None:
        user_with_key(site, f"narrow-{wire}")
        for number, granted in enumerate(SPELLINGS[wire]):
            key = create_key(
                site, f"narrow-{wire}", f"k{number}", allowed_models=[f"{wire}/{granted}"]
            )
            for model in SPELLINGS[wire]:
                assert call(site, f"{wire}/{model}", key).status_code == 200, (granted, model)
                sent = upstream.requests[-1]
                assert (
                    (f"/{model}:" in sent.path) if wire == "gemini" else sent.body["model"] == model
                )
                assert get(site, f"models/{wire}/{model}", key).status_code == 200

    def test_every_spelling_is_refused(self, site: Site, upstream: Upstream, wire: str) -> None:
        user_with_key(site, f"refused-{wire}")
        key = create_key(site, f"refused-{wire}", "k", allowed_models=[f"{wire}/another*"])
        seen = len(upstream.requests)
        for model in SPELLINGS[wire]:
            assert error_of(call(site, f"{wire}/{model}", key))["code"] == "model_not_allowed"
            assert get(site, f"models/{wire}/{model}", key).status_code == 404
        assert len(upstream.requests) == seen

    def test_all_spellings_count_under_one_limit(self, site: Site, wire: str) -> None:
        key = user_with_key(site, f"limited-{wire}")
        statuses = [
            call(site, f"limited-{wire}/{model}", key).status_code
            for model in (*SPELLINGS[wire], *SPELLINGS[wire])
        ]
        assert statuses == [200] * AMOUNT + [429] * (len(statuses) - AMOUNT)

    def test_all_spellings_cost_the_same_and_are_one_model_in_daily_totals(
        self, site: Site, wire: str
    ) -> None:
        key, name = user_with_key(site, f"paying-{wire}"), f"{wire}/{CANONICAL[wire]}"
        for model in SPELLINGS[wire]:
            assert call(site, f"{wire}/{model}", key).status_code == 200
        records = records_of(site, f"paying-{wire}", len(SPELLINGS[wire]))
        assert [record[:2] for record in records] == [
            (f"{wire}/{model}", model) for model in SPELLINGS[wire]
        ]
        assert len({record[2] for record in records}) == 1
        assert records[0][2] is not None
        assert totals_of(site, f"paying-{wire}") == [
            (name, CANONICAL[wire], "ok", len(SPELLINGS[wire]))
        ]
        assert {row["model"] for row in get(site, "usage", key).json()["data"]} == {name}


class TestMadeUpNames:
    def test_made_up_names_have_no_daily_totals(self, site: Site) -> None:
        key = user_with_key(site, "mallory")
        narrowed = create_key(site, "mallory", "narrowed", allowed_models=["real"])
        names = [
            f"{kind}{number}"
            for kind in ("made-up-", "nobody/made-up-", "openai/made-up-", "gemini/made-up-")
            for number in range(5)
        ]
        assert [call(site, name, key).status_code for name in names] == [404] * 10 + [502] * 10
        assert [call(site, f"{name}?", key).status_code for name in names] == [404] * len(names)
        assert [call(site, name, narrowed).status_code for name in names] == [403] * len(names)
        assert call(site, "real", key).status_code == 200
        records = records_of(site, "mallory", 3 * len(names) + 1)
        assert [record[0] for record in records] == [
            *names,
            *(f"{name}?" for name in names),
            *names,
            "real",
        ]
        totals = totals_of(site, "mallory")
        assert {(model, provider_model) for model, provider_model, *_ in totals} == {
            (UNKNOWN_MODEL, ""),
            ("real", "gpt-4o"),
        }
        assert sum(row[3] for row in totals) == len(records)
        manage(site.environment, "native_totals")

    def test_a_made_up_name_with_a_fallback_has_no_daily_totals(self, site: Site) -> None:
        key = user_with_key(site, "trudy")
        for number in range(5):
            assert (
                call(site, f"openai/made-up-{number}", key, fallbacks=["real"]).status_code == 200
            )
        records_of(site, "trudy", 5)
        assert totals_of(site, "trudy") == [(UNKNOWN_MODEL, "", "ok", 5)]
        for number in range(5):
            assert (
                call(site, "failing", key, fallbacks=[f"openai/made-up-{number}"]).status_code
                == 502
            )
        records_of(site, "trudy", 10)
        assert {row[:2] for row in totals_of(site, "trudy")} == {
            (UNKNOWN_MODEL, ""),
            ("failing", ""),
        }
        manage(site.environment, "native_totals")
