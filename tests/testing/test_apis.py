"""A site's own tests of what it does with Responses and Messages: one script for every API."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from native_api.access import keys
from native_api.models import UsageRecord
from native_api.testing import ScriptedProvider

HI: list[Any] = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def headers(transactional_db: None) -> dict[str, str]:
    key = keys.create_key(get_user_model().objects.create_user("alice"), "laptop")[1]
    return {"authorization": f"Bearer {key}"}


def post(path: str, headers: dict[str, str], **body: Any) -> Any:
    body = {"model": "fast", **body}
    return Client().post(f"/native/v1/{path}", body, "application/json", headers=headers)


def test_one_script_answers_in_every_api(
    native_llm: ScriptedProvider, headers: dict[str, str]
) -> None:
    native_llm.respond(lambda call: f"You said {call.prompt}.")
    message = post("messages", headers, messages=HI, max_tokens=9).json()
    assert message["content"] == [{"type": "text", "text": "You said Hi."}]
    response = post("responses", headers, input="Hi").json()
    assert response["output"][0]["content"][0]["text"] == "You said Hi."
    streamed = post("messages", headers, messages=HI, max_tokens=9, stream=True)
    assert b"message_stop" in b"".join(streamed.streaming_content)
    streamed = post("responses", headers, input="Hi", stream=True)
    assert b"response.completed" in b"".join(streamed.streaming_content)
    assert [call.prompt for call in native_llm.calls] == ["Hi"] * 4
    endpoints = UsageRecord.objects.order_by("id").values_list("endpoint", flat=True)
    assert list(endpoints) == ["messages", "responses", "messages", "responses"]


def test_a_failure_is_in_the_apis_envelope(
    native_llm: ScriptedProvider, headers: dict[str, str]
) -> None:
    native_llm.fail(400, "Not like that.")
    response = post("messages", headers, messages=HI, max_tokens=9)
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert "Not like that." in error["message"]
    assert response.headers["request-id"] == response.json()["request_id"]


def test_a_count_is_estimated(native_llm: ScriptedProvider, headers: dict[str, str]) -> None:
    response = post("messages/count_tokens", headers, messages=HI)
    assert response.json()["input_tokens"] > 0
    assert response.headers["x-native-estimated"] == "true"
    assert native_llm.calls == []
