"""Header values of foreign text: printable ASCII, bounded, and the text itself if it is that."""

from __future__ import annotations

import pytest
from django.http import HttpResponse

from native_api.gateway import calls
from native_api.gateway.call_record import CallRecord
from native_api.inbound import headers
from native_api.inbound.base import ParsedRequest
from native_api.types import Caller
from tests.inbound.contexts import context_of

ODD = {
    "plain": "plain",
    "a, b-c=d": "a, b-c=d",
    "a\r\nset-cookie: x": "a??set-cookie: x",
    "tab\there": "tab?here",
    "\x00\x1b\x7f\x85": "????",
    "é\u2028\u202e日": "????",
    "\ud800": "?",
    "": "",
}


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_a_value_is_made_safe(text: str) -> None:
    assert headers.safe_value(text) == ODD[text]
    HttpResponse().headers["x-a"] = headers.safe_value(text)


@pytest.mark.parametrize("text", ["x" * 100_000, "é" * 100_000, "\n" * 1001])
def test_a_value_is_bounded(text: str) -> None:
    safe = headers.safe_value(text)
    assert (len(safe), safe[-3:]) == (headers.MAX_VALUE, "...")


def test_a_list_of_names_is_bounded_in_number_and_in_length() -> None:
    assert headers.list_names(["seed", "user"]) == "seed, user"
    assert headers.list_names(["user"], "seed") == "seed, user"
    assert headers.list_names(["user", "seed", "user"], "seed") == "seed, user"
    many = headers.list_names(f"f{number}" for number in range(10_000))
    assert many.startswith("f0, f1, ")
    assert many.endswith(", f49, ...and 9950 more")
    long = headers.list_names(f"{number}{'x' * 100_000}" for number in range(1000))
    assert len(long) <= headers.MAX_VALUE
    shown, _, rest = long.rpartition(", ...and ")
    assert rest == f"{1000 - len(shown.split(', '))} more"


def test_two_lists_of_names_are_one_with_one_rest() -> None:
    first = headers.list_names(f"f{number}" for number in range(60))
    both = headers.list_names((f"g{number}" for number in range(5)), first)
    assert both.endswith("f49, ...and 15 more")
    assert both.count("more") == 1


def test_a_python_caller_gets_safe_values_too() -> None:
    chat = {"model": "a\r\nb", "messages": []}
    headers = calls.reply_headers(CallRecord(chat, Caller(), "request"), ("seed", "x\r\ny"))  # type: ignore[arg-type]
    assert (headers["x-native-model"], headers["x-native-omitted"]) == ("a??b", "seed, x??y")


def test_the_context_of_a_request_does_not_show_its_key() -> None:
    parsed = ParsedRequest({}, [], context=context_of(authorization="Bearer nk_secret"))
    assert "secret" not in repr(parsed)
