"""Errors say what to do: the message that a client reads, on HTTP, for each common mistake."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from tests.front.test_errors import CHAT, PATH, error_of
from tests.scripted_provider import Upstream, says
from tests.servers import Site


@pytest.mark.parametrize(
    ("method", "path", "meant"),
    [
        ("POST", "/v1/chat/completions/", "Did you mean POST /native/v1/chat/completions?"),
        ("POST", "/v1/v1/chat/completions", "Did you mean POST /native/v1/chat/completions?"),
        ("POST", "/chat/completions", "Did you mean POST /native/v1/chat/completions?"),
        ("POST", "/v1//chat/completions", "Did you mean POST /native/v1/chat/completions?"),
        ("POST", "/v1/chat/completion", "Did you mean POST /native/v1/chat/completions?"),
        ("POST", "/api/v1/embeddings", "Did you mean POST /native/v1/embeddings?"),
        ("POST", "/openai/deployments/gpt/embeddings/", "mean POST /native/v1/embeddings?"),
        ("GET", "/models", "Did you mean GET /native/v1/models?"),
        ("GET", "/v1/health/ready", "Did you mean GET /native/health/ready?"),
        ("POST", "/responses", "Did you mean POST /native/v1/responses?"),
        ("POST", "/v1/response", "Did you mean POST /native/v1/responses?"),
        ("POST", "/openai/v1/responses", "Did you mean POST /native/v1/responses?"),
        ("POST", "/v1/images", "/native/v1/: POST /native/v1/chat/completions, "),
        ("GET", "/v2/anything", "POST /native/v1/chat/completions, GET /native/v1/models."),
    ],
)
def test_a_wrong_url_names_the_right_one(
    http: httpx.Client, method: str, path: str, meant: str
) -> None:
    response = http.request(method, path, json={} if method == "POST" else None)
    assert meant in error_of(response, 404, "not_found_error", "not_found")["message"]


@pytest.mark.parametrize("path", ["/v1/v1/chat/completions", "/chat/completions"])
def test_a_v1_too_many_or_too_few_says_how_the_base_url_ends(http: httpx.Client, path: str) -> None:
    message = error_of(http.post(path, json={}), 404, "not_found_error", "not_found")["message"]
    assert "The base URL of a client ends in /native/v1." in message


@pytest.mark.parametrize(("path", "method"), [(PATH, "POST"), ("/v1/models", "GET")])
def test_a_wrong_method_names_the_right_one(http: httpx.Client, path: str, method: str) -> None:
    response = http.delete(path)
    message = error_of(response, 405, "invalid_request_error", "method_not_allowed")["message"]
    assert message == f"This URL does not support DELETE. Send {method}."
    assert method in response.headers["allow"]


@pytest.mark.parametrize("path", [PATH, "/v1/embeddings"])
def test_a_misspelt_model_names_the_nearest(http: httpx.Client, path: str) -> None:
    response = http.post(path, json={**CHAT, "input": "Hi", "model": "helo"})
    message = error_of(response, 404, "not_found_error", "model_not_found")["message"]
    assert message.endswith("Did you mean 'hello'?")
    response = http.get("/v1/models/helo")
    message = error_of(response, 404, "not_found_error", "model_not_found")["message"]
    assert message.endswith("Did you mean 'hello'?")


@pytest.mark.parametrize(("name", "near"), [("antropic", "anthropic"), ("uup", "up")])
def test_options_for_an_unknown_provider_name_the_nearest(
    http: httpx.Client, name: str, near: str
) -> None:
    response = http.post(PATH, json={**CHAT, "provider_options": {name: {"a": 1}}})
    error = error_of(response, 400, "invalid_request_error", "unknown_field")
    assert error["param"] == f"provider_options.{name}"
    assert error["message"].endswith(f"did you mean '{near}'?")


def test_options_for_a_provider_that_is_not_called_are_not_an_error(http: httpx.Client) -> None:
    options = {"claude": {}, "bedrock": {}, "mistral": {}}  # a provider, a dialect, a preset
    assert http.post(PATH, json={**CHAT, "provider_options": options}).status_code == 200


def test_several_answers_of_a_provider_that_gives_one(http: httpx.Client) -> None:
    response = http.post(PATH, json={**CHAT, "model": "claude/any", "n": 3})
    error = error_of(response, 400, "invalid_request_error", "unsupported_field")
    assert (error["param"], error["message"]) == (
        "n",
        "n: this provider gives one answer to a request; send 3 requests, or use a model of "
        "another provider",
    )


def test_a_providers_429_says_that_it_is_the_providers(
    http: httpx.Client, upstream: Upstream
) -> None:
    upstream.script("busy", says({"error": {"message": "slow down"}}, 429))
    error = error_of(
        http.post(PATH, json={**CHAT, "model": "up/busy"}),
        429,
        "rate_limit_error",
        "rate_limit_exceeded",
    )
    assert error["provider"] == "up"
    assert error["message"] == "The provider limits its use (429), not this gateway: slow down"


# --- clients of Azure ----------------------------------------------------------------------------


@pytest.fixture
def azure(asgi_site: Site) -> Any:
    with openai.AzureOpenAI(
        azure_endpoint=asgi_site.url,
        api_key=asgi_site.key,
        api_version="2026-10-01",
        max_retries=0,
        http_client=httpx.Client(trust_env=False, timeout=60),
    ) as client:
        yield client


def test_a_client_of_azure_gets_its_answer(azure: openai.AzureOpenAI) -> None:
    for model in ("hello", "up/any"):
        reply = azure.chat.completions.create(model=model, messages=CHAT["messages"])
        assert reply.choices[0].message.content
        chunks = list(
            azure.chat.completions.create(model=model, messages=CHAT["messages"], stream=True)
        )
        assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_model_of_the_path_wins_as_at_azure(http: httpx.Client, upstream: Upstream) -> None:
    response = http.post(
        "/openai/deployments/up/of-the-path/chat/completions?api-version=2026-10-01",
        json={**CHAT, "model": "up/of-the-body"},
    )
    assert response.headers["x-native-model"] == "up/of-the-path"
    [received] = upstream.requests_for("of-the-path")
    assert received.body["model"] == "of-the-path"
    assert upstream.requests_for("of-the-body") == []


def test_a_model_in_the_path_is_as_guarded_as_one_in_the_body(
    http: httpx.Client, azure: openai.AzureOpenAI
) -> None:
    response = http.post("/openai/deployments/nobody/chat/completions", json=CHAT)
    assert error_of(response, 404, "not_found_error", "model_not_found")["param"] == "model"
    with pytest.raises(openai.NotFoundError, match="no model 'nobody'"):
        azure.embeddings.create(model="nobody", input="Hi")
