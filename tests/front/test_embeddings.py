"""`POST v1/embeddings`, over real HTTP: the official SDK, the record, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.scripted_provider import Upstream, says
from tests.servers import Site, until

VECTOR = [0.25, -0.5, 1.0]


def reply(count: int) -> dict[str, Any]:
    return {
        "object": "list",
        "model": "embedder-1",
        "data": [
            {"object": "embedding", "index": index, "embedding": VECTOR} for index in range(count)
        ],
        "usage": {"prompt_tokens": 12, "total_tokens": 12},
    }


def post(site: Site, body: Any) -> httpx.Response:
    return httpx.post(f"{site.url}/v1/embeddings", json=body, headers=site.headers, timeout=60)


def test_the_sdk_embeds_by_its_defaults(site: Site) -> None:
    """It asks for base64 and decodes it."""
    with OpenAI(base_url=f"{site.url}/v1", api_key=site.key, max_retries=0) as client:
        answer = client.embeddings.create(model="echo/echo", input=["a text", "another", "a text"])
    first, other, last = (item.embedding for item in answer.data)
    assert first == last != other
    assert (len(first), answer.usage.prompt_tokens) == (16, 5)


def test_a_call_leaves_one_record(site: Site, upstream: Upstream) -> None:
    upstream.script("embedder", says(reply(2)))
    response = post(site, {"model": "up/embedder", "input": ["a", "b"], "dimensions": 3})
    assert response.status_code == 200
    assert [item["embedding"] for item in response.json()["data"]] == [VECTOR, VECTOR]
    assert response.headers["x-native-provider"] == "up"
    query = (
        "SELECT endpoint, status, prompt_tokens, completion_tokens FROM native_api_usagerecord "
        "WHERE model = 'up/embedder'"
    )
    [row] = until(lambda: site.rows(query), "the record")
    assert tuple(row) == ("embeddings", "ok", 12, 0)
    assert upstream.requests_for("embedder")[-1].body == {
        "model": "embedder",
        "input": ["a", "b"],
        "dimensions": 3,
    }


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "echo/echo"}, "input"),
        ({"input": "a"}, "model"),
        ({"model": "echo/echo", "input": []}, "input"),
        ({"model": "echo/echo", "input": [1, "a"]}, "input[1]"),
        ({"model": "echo/echo", "input": {"a": 1}}, "input"),
        ({"model": "echo/echo", "input": "a", "dimensions": 0}, "dimensions"),
        ({"model": "echo/echo", "input": "a", "encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_an_invalid_request_names_the_field(site: Site, body: Any, param: str) -> None:
    response = post(site, body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_a_model_that_cannot_embed_is_named(site: Site) -> None:
    response = post(site, {"model": "claude/any", "input": "a"})
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (
        400,
        "invalid_request_error",
        "model",
    )
