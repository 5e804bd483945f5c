"""The text of a key: what it is made of, and how a slip in it is told from a credential that is not
ours."""

from __future__ import annotations

import string
import zlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from native_api.access.keys.text import PREFIX_LENGTH, Shape, digest, generate, parse

LETTERS = string.ascii_letters + string.digits
keys = st.builds(lambda: str(generate()[1]))
characters = st.one_of(st.sampled_from(LETTERS + "_-. "), st.characters())
places = st.integers(min_value=0, max_value=60)


def test_a_key_is_one_word_with_a_prefix_that_may_be_shown() -> None:
    prefix, text = generate()
    assert text.startswith(f"{prefix}_")
    assert len(prefix) == PREFIX_LENGTH == len("nk_xxxxxxxx")
    assert len(text) == 61
    assert set(text) <= {*LETTERS, "_"}
    assert parse(text) is Shape.KEY


def test_the_secret_part_holds_256_bits_and_the_rest_is_a_checksum_that_a_scanner_can_verify() -> (
    None
):
    assert 62**43 >= 2**256
    text = generate()[1]
    number = 0
    for letter in text[-6:]:
        number = number * 62 + (
            string.digits + string.ascii_uppercase + string.ascii_lowercase
        ).index(letter)
    assert number == zlib.crc32(text[:-6].encode())


def test_no_two_keys_are_alike() -> None:
    assert len({generate()[1] for _ in range(500)}) == 500


def test_a_key_hides_in_a_repr() -> None:
    assert repr(generate()[1]) == "Secret('…')"


@given(keys, places, characters)
def test_a_changed_character_is_a_typo(text: str, place: int, character: str) -> None:
    assume(character != text[place])
    assert parse(text[:place] + character + text[place + 1 :]) is Shape.MISTYPED


@given(keys, places)
def test_a_missing_character_is_a_typo(text: str, place: int) -> None:
    assert parse(text[:place] + text[place + 1 :]) is Shape.MISTYPED


@given(keys, places, characters)
def test_an_extra_character_is_a_typo(text: str, place: int, character: str) -> None:
    assert parse(text[:place] + character + text[place:]) is Shape.MISTYPED


@given(keys, st.integers(min_value=len("nk_"), max_value=59))
def test_two_swapped_characters_are_a_typo(text: str, place: int) -> None:
    assume(text[place] != text[place + 1])
    assert parse(text[:place] + text[place + 1] + text[place] + text[place + 2 :]) is Shape.MISTYPED


def test_a_partly_copied_key_is_a_typo() -> None:
    text = generate()[1]
    assert parse(text[:30]) is Shape.MISTYPED
    assert parse(text[3:]) is Shape.MISTYPED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-proj-abcdefghijklmnopqrstuvwxyz",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "x" * 61,
        "é" * 61,
        "x" * 100_000,
    ],
)
def test_other_credentials_are_foreign(text: str) -> None:
    assert parse(text) is Shape.FOREIGN


@given(st.text(max_size=200))
def test_parse_accepts_any_text(text: str) -> None:
    assert parse(text) is not Shape.KEY


def test_the_stored_digest_is_the_sha256_of_the_whole_text() -> None:
    assert digest("nk_") == "f5f62c0dbbf523348c0f2b6d3d465b9156c76968e13d470c4609f1187275b37a"
