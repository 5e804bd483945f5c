"""Matches of published lists: what they mean is in `test_price_data`; here, what is refused."""

from __future__ import annotations

import pytest

from native_api.pricing import model_match


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(?!.*-[tT][tT][sS](?:$|-))",
        r"^gpt-4o-\d{4}-\d{2}-\d{2}$",
        r"^gpt-4o(?:-\d{8})?$",
        r"^gpt-(4|5)[+*?{|]\.\d+$",
        r"gpt-\d+-\d+",
        r"(?i)^gpt[]*+?{|\]]$",
    ],
)
def test_regular_expressions_of_names_are_allowed(pattern: str) -> None:
    assert model_match.parse({"regex": pattern})


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(a+)+$",
        r"^(a|a)*$",
        r"^(?:a?){40}a{40}$",
        r"^a?a?a?a?aaaa$",
        r"^(a|a)(a|a)(a|a)(a|a)$",
        r".*.*.*=",
        r"^.*.*.*.*=",
        r"^(?P<a>a)(?(a)b)",
        "(?x)#[\n(a*)*$#]",
    ],
)
def test_those_that_may_take_long_are_not(pattern: str) -> None:
    with pytest.raises(ValueError, match="may take long"):
        model_match.parse({"regex": pattern})
