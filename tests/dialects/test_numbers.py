"""Numbers of a provider that no client's JSON has are as if they were not there."""

from __future__ import annotations

from typing import Any

import orjson

from native_api.dialects import DIALECTS
from native_api.dialects.shared.json_values import read_integer
from native_api.inbound.openai.responses.reply import build_response
from tests.cases import each
from tests.dialects.wire_streams import build_message, make_target
from tests.dialects.wire_streams import build_response as made_response
from tests.inbound.responses.reading import parse_request


@each("value, read", [(3, 3), (3.7, 3), (-1, 0), (True, 0), ("3", 0), (None, 0), (1e300, 0)])
def test_a_number_is_one_that_clients_can_read(value: Any, read: int) -> None:
    assert read_integer(value) == read


def test_a_reply_with_such_numbers_is_written() -> None:
    message = build_message("Hi")
    message["content"][0]["annotations"] = [
        {"type": "url_citation", "url": "u", "title": "t", "start_index": 1e300, "end_index": 1}
    ]
    body = made_response(created_at=1e300, output=[message])
    completion: Any = DIALECTS["openai_responses"].response(body, make_target("openai_responses"))
    assert completion["created"] == 0
    assert orjson.dumps(completion)
    assert build_response(parse_request(), {**completion, "created": 1e300})["created_at"] == 0
