"""What is sealed for a caller opens for this caller only, with any of the site's keys."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.access.sealing import PREFIX, CallerSeal
from native_api.exceptions import RequestTooLarge
from native_api.types import Caller
from tests.cases import each

ALICE = CallerSeal(Caller(user_id=1))
VALUES: list[Any] = [
    {"issued_by": "openai", "value": "gAAAA"},
    {"text": "thinking " * 1000},
    [],
    "ü",
]


@each("value", VALUES)
def test_a_sealed_value_opens_as_it_was(value: Any) -> None:
    assert ALICE.open(ALICE.seal(value)) == value


def test_another_key_of_the_same_user_opens_it() -> None:
    sealed = CallerSeal(Caller(user_id=1, key_id=7)).seal("x")
    assert CallerSeal(Caller(user_id=1, key_id=8)).open(sealed) == "x"


@each("other", [Caller(user_id=2), Caller(key_id=1), Caller()])
def test_it_opens_for_no_other_caller(other: Caller) -> None:
    assert CallerSeal(other).open(ALICE.seal("x")) is None


@each("text", [None, "", "gAAAA", 5, PREFIX, f"{PREFIX}ü", f"{PREFIX}gAAAA", {"a": 1}])
def test_what_is_not_sealed_does_not_open(text: Any) -> None:
    assert ALICE.open(text) is None


def test_an_altered_text_does_not_open() -> None:
    sealed = ALICE.seal("x")
    altered = "A" if sealed[60] != "A" else "B"
    assert ALICE.open(sealed[:60] + altered + sealed[61:]) is None


def test_nothing_can_be_read_in_it() -> None:
    assert "openai" not in ALICE.seal({"issued_by": "openai"})


def test_a_former_key_of_the_site_still_opens_it(settings: Any) -> None:
    settings.NATIVE_API = {"SECRET_KEYS": ["the first key of this site, long enough to be one"]}
    sealed = ALICE.seal("x")
    second = "the second key of this site, long enough to be one"
    settings.NATIVE_API = {"SECRET_KEYS": [second, *settings.NATIVE_API["SECRET_KEYS"]]}
    assert ALICE.open(sealed) == "x"
    settings.NATIVE_API = {"SECRET_KEYS": [second]}
    assert ALICE.open(sealed) is None


def test_a_request_opens_no_more_than_it_may_have_itself(settings: Any) -> None:
    settings.NATIVE_API = {"MAX_BODY_BYTES": 100_000}
    sealed = ALICE.seal("again " * 10_000)
    assert len(sealed) < 1000
    request = CallerSeal(Caller(user_id=1))
    assert request.open(sealed) == "again " * 10_000
    with pytest.raises(RequestTooLarge, match="MAX_BODY_BYTES"):
        request.open(sealed)
    with pytest.raises(RequestTooLarge):
        CallerSeal(Caller(user_id=1)).open(ALICE.seal("a" * 10_000_000))


def test_what_repeats_itself_opens_only_as_often_as_its_length_allows() -> None:
    sealed, request = ALICE.seal("again " * 50_000), CallerSeal(Caller(user_id=1))
    assert len(sealed) < 5000
    assert [request.open(sealed) == "again " * 50_000 for _ in range(3)] == [True] * 3
    with pytest.raises(RequestTooLarge):
        request.open(sealed)


def test_long_thinking_opens_in_full() -> None:
    text = " ".join(map(str, range(400_000)))
    assert CallerSeal(Caller(user_id=1)).open(ALICE.seal(text)) == text
