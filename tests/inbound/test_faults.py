"""The first of several faults in a request is named, and the others are counted."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.exceptions import InvalidRequest
from native_api.inbound import checks
from native_api.inbound.openai import ChatCompletionSerializer

HI = {"role": "user", "content": "Hi"}
WRONG_ROLE = {"role": "usre", "content": "Hi"}


@pytest.mark.parametrize(
    ("body", "first", "others"),
    [
        ({"temperature": "hot"}, "temperature: ", ""),
        ({"temperature": "hot", "n": 0}, "temperature: ", " (1 more fault in the request)"),
        (
            {"temperature": "hot", "messages": [WRONG_ROLE, WRONG_ROLE], "temprature": 1},
            "messages[0].role: ",
            " (3 more faults in the request)",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}, {"type": "txet"}]}]},
            "messages[0].content[0].text: ",
            " (1 more fault in the request)",
        ),
        ({"messages": [WRONG_ROLE] * 10_000}, "messages[0].role: ", " (at least 20 more faults"),
    ],
)
def test_the_first_of_several_faults_is_named_and_the_others_are_counted(
    body: dict[str, Any], first: str, others: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ChatCompletionSerializer().check({"model": "m", "messages": [HI], **body})
    said = caught.value.message
    assert said.startswith(first)
    assert others in said
    assert ("more fault" in said) == bool(others)


def test_a_list_of_wrong_items_is_looked_through_no_further_than_needed() -> None:
    seen = []

    def check(value: Any, path: str) -> Any:
        seen.append(path)
        raise checks.FieldError(path, "wrong")

    with pytest.raises(checks.FieldError):
        checks.list_of(check)([0] * 5000, "stop")
    assert len(seen) == checks.MAX_COUNTED + 2
