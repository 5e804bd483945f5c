"""The model names in the daily totals: how many rows callers can make with them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.core.management import call_command

from native_api.models import DailyUsage, UsageRecord
from native_api.types.model_names import Named
from native_api.usage import totals_names
from native_api.usage.totals_names import UNKNOWN_MODEL, name_in_totals
from tests.usage.totals_factory import entry, write


@pytest.mark.usefixtures("transactional_db")
class TestNamesOfRows:
    """There is a row for each model that is known or answered, not for each invented name."""

    def test_a_record_counts_under_its_counted_as(self) -> None:
        write(
            *(
                entry(
                    model=f"made-up-{number}",
                    counted_as=UNKNOWN_MODEL,
                    provider="",
                    status="refused",
                )
                for number in range(30)
            ),
            entry(),
        )
        assert dict(DailyUsage.objects.values_list("model", "requests")) == {
            UNKNOWN_MODEL: 30,
            "m": 1,
        }
        assert UsageRecord.objects.values("model").distinct().count() == 31

    def test_all_spellings_of_a_providers_model_share_a_row(self) -> None:
        write(
            *(
                entry(provider_model=name)
                for name in (
                    "llama3",
                    "LLAMA3",
                    "library/llama3",
                    "llama3:latest",
                    "models/" + "x" * 300,
                )
            )
        )
        assert sorted(DailyUsage.objects.values_list("provider_model", "requests"))[0] == (
            "llama3",
            4,
        )
        call_command("native_totals")

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ({"status": "ok"}, "x"),
            ({"status": "upstream_error"}, ""),
            ({"status": "client_closed"}, ""),
            ({"status": "client_closed", "completion_tokens": 1}, "x"),
            ({"status": "upstream_error", "completion_tokens": 1}, "x"),
            ({"status": "client_closed", "error_code": "hedged"}, "x"),
            ({"status": "ok", "counted_as": UNKNOWN_MODEL}, ""),
        ],
    )
    def test_a_providers_model_is_kept_only_if_it_answered(
        self, values: dict[str, Any], expected: str
    ) -> None:
        write(entry(provider_model="x", **values))
        assert DailyUsage.objects.get().provider_model == expected
        call_command("native_totals")

    def test_a_rebuild_makes_the_same_names(self) -> None:
        generator = random.Random(7)
        names = [
            f"{prefix}x{number}" for prefix in ("", "models/", "LIBRARY/") for number in range(5)
        ]
        statuses = ("ok", "refused", "upstream_error", "client_closed")
        triples = [
            (
                generator.choice(names),
                generator.choice(["", UNKNOWN_MODEL, "p/x"]),
                generator.choice(statuses),
            )
            for _ in range(200)
        ]
        write(
            *(
                entry(model=name, provider_model=name, counted_as=counted, status=status)
                for name, counted, status in triples
            )
        )
        before = list(DailyUsage.objects.order_by("id").values())
        DailyUsage.objects.update(requests=0)
        call_command("native_totals", "--rebuild")
        assert list(DailyUsage.objects.order_by("id").values()) == before


@pytest.fixture
def no_answered_names() -> None:
    totals_names._answered_names.clear()


def direct(model: str) -> Named:
    return Named(f"p/{model}", "p", model)


@pytest.mark.usefixtures("no_answered_names")
class TestNameInTotals:
    def test_a_route_counts_under_its_own_name(self) -> None:
        assert name_in_totals(Named("fast"), None, 1, 1) == "fast"

    def test_an_unknown_name_counts_as_unknown(self) -> None:
        assert name_in_totals(Named("x", is_known=False), None, 1, 1) == UNKNOWN_MODEL
        assert name_in_totals(None, None, 1, 1) == UNKNOWN_MODEL

    def test_a_providers_model_counts_from_its_first_answer_of_the_day(self) -> None:
        assert name_in_totals(direct("x"), None, 1, 1) == UNKNOWN_MODEL
        assert name_in_totals(direct("models/X"), direct("models/X"), 1, 1) == "p/x"
        assert name_in_totals(direct("x"), None, 1, 1) == "p/x"
        assert name_in_totals(direct("x"), None, 1, 2) == UNKNOWN_MODEL
        assert name_in_totals(direct("x"), None, 2, 1) == UNKNOWN_MODEL

    def test_a_server_that_answers_to_every_name_cannot_make_many_names(self) -> None:
        names = [
            name_in_totals(direct(f"x{number}"), direct(f"x{number}"), 1, 1)
            for number in range(1000)
        ]
        assert len(set(names)) == totals_names.MAX_NAMES_PER_CALLER + 1
        assert set(names[totals_names.MAX_NAMES_PER_CALLER :]) == {UNKNOWN_MODEL}
        assert name_in_totals(direct("real"), direct("real"), 2, 1) == "p/real"

    def test_a_fallback_that_answers_to_every_name_cannot_make_many_names(self) -> None:
        names = [
            name_in_totals(Named("fast"), direct(f"x{number}"), 1, 1) for number in range(1000)
        ]
        assert names == ["fast"] * totals_names.MAX_NAMES_PER_CALLER + [UNKNOWN_MODEL] * (
            1000 - totals_names.MAX_NAMES_PER_CALLER
        )

    def test_the_number_of_remembered_callers_is_bounded(self) -> None:
        for caller in range(totals_names.MAX_CALLERS + 10):
            name_in_totals(direct("x"), direct("x"), caller, 1)
        assert len(totals_names._answered_names) == totals_names.MAX_CALLERS
