"""`for_each` checks every case and names those that fail."""

from __future__ import annotations

import pytest

from tests.cases import each, for_each


def check_even(number: int) -> None:
    assert number % 2 == 0


def numbers(*values: int) -> list[tuple[str, int]]:
    return [(f"number {value}", value) for value in values]


def test_a_test_of_cases_passes_if_each_does() -> None:
    for_each(lambda: numbers(2, 4))(check_even)()


def test_each_failure_names_its_case_and_the_others_run() -> None:
    with pytest.raises(BaseExceptionGroup, match="2 of 3 cases failed") as caught:
        for_each(lambda: numbers(1, 2, 3))(check_even)()
    assert [error.__notes__ for error in caught.value.exceptions] == [
        ["The case is number 1."],
        ["The case is number 3."],
    ]


def test_an_error_that_was_not_raised_is_a_failure() -> None:
    @for_each(lambda: numbers(1))
    def check_refusal(number: int) -> None:
        with pytest.raises(ValueError, match="odd"):
            pass

    with pytest.raises(BaseExceptionGroup, match="1 of 1 cases failed"):
        check_refusal()


def test_no_case_is_a_failure() -> None:
    with pytest.raises(AssertionError, match="no case"):
        for_each(lambda: numbers())(check_even)()


@for_each(lambda: numbers(2, 4))
@pytest.mark.parametrize("divisor", [1, 2])
def test_fixtures_and_parameters_follow_the_case(
    number: int, divisor: int, request: pytest.FixtureRequest
) -> None:
    assert number % divisor == 0
    assert str(divisor) in request.node.name


def test_values_of_several_arguments_are_checked_in_one_test() -> None:
    seen = []

    @each("text, length", [("a", 1), ("ab", 2)])
    @each("times", [1, 2])
    def check_length(text: str, length: int, times: int) -> None:
        assert len(text * times) == length * times
        seen.append(text * times)

    check_length()
    assert seen == ["a", "aa", "ab", "abab"]
