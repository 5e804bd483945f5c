"""The preset, the authentication method and the dialect of docs/extending.md work as the page says,
before a WSGI and an ASGI server."""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.front.conftest import native_api, sdk_for
from tests.scripted_provider import Exchange, Upstream, says, streams
from tests.servers import ROOT, Site, manage, running_site

PAGE = ROOT / "docs" / "extending.md"
SECTIONS = [
    "Your own provider presets",
    "Your own authentication methods for providers",
    "Your own dialects",
]
KEY = "sk-acme-secret-1"
HI: list[Any] = [{"role": "user", "content": "Hi"}]
ANSWER = {"text": "Hello there", "end": "done", "tokens": {"in": 9, "out": 3}}
STREAM = [
    b'data: {"text": "Hello"}\n\n',
    b'data: {"text": " there"}\n\n',
    b'data: {"end": "done", "tokens": {"in": 9, "out": 3}}\n\n',
]


def code_of(title: str) -> tuple[str, str, dict[str, Any]]:
    """The path and the text of the section's module, and its settings."""
    section = PAGE.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
    module, settings = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    path = re.match(r"# (\S+)\n", module)
    assert path
    return path[1], module, ast.literal_eval(settings.removeprefix("NATIVE_API = "))


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn"])
def site(
    request: pytest.FixtureRequest,
    template: tuple[Path, str],
    upstream: Upstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A site with the code of all sections. Their providers have the address of the scripted one,
    and those of the later sections names of their own."""
    folder, key = template
    own_folder = tmp_path_factory.mktemp(request.param)
    plugged_in: dict[str, Any] = {"PROVIDERS": {}, "MODELS": {}}
    for title, prefix in zip(SECTIONS, ["", "signed-", "talking-"], strict=True):
        path, module, settings = code_of(title)
        (own_folder / path).parent.mkdir(exist_ok=True)
        (own_folder / path).write_text(module)
        for name, provider in settings.pop("PROVIDERS").items():
            plugged_in["PROVIDERS"][prefix + name] = {
                **provider,
                "BASE_URL": upstream.url,
                "API_KEY": KEY,
            }
        plugged_in.update(settings)
    more = {"PYTHONPATH": f"{ROOT}:{own_folder}"}
    with running_site(
        request.param, own_folder, folder, key, native_api(upstream, **plugged_in), **more
    ) as running:
        yield running


@pytest.fixture
def sdk(site: Site) -> Iterator[openai.OpenAI]:
    with sdk_for(site) as client:
        yield client


def test_the_settings_of_the_page_are_valid(site: Site) -> None:
    manage(site.environment, "check", "--tag", "native_api")


def test_the_preset(sdk: openai.OpenAI, upstream: Upstream) -> None:
    developer: Any = {"role": "developer", "content": "Be brief."}
    for provider in ("acme", "acme-us"):
        reply = sdk.chat.completions.create(
            model=f"{provider}/preset", messages=[developer, *HI], max_completion_tokens=7
        )
        received = upstream.requests_for("preset")[-1]
        assert reply.choices[0].message.content == "Hello there"
        assert received.headers["x-api-key"] == KEY
        assert received.body["max_tokens"] == 7
        assert received.body["messages"][0]["role"] == "system"


# --- the authentication method -------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_the_method_signs_what_is_sent(
    sdk: openai.OpenAI, upstream: Upstream, stream: bool
) -> None:
    reply = sdk.chat.completions.create(
        model="signed-acme/signed", messages=HI, stream=stream, extra_headers={"x-acme-date": "1"}
    )
    received = upstream.requests_for("signed")[-1]
    signed = b"\n".join(
        [
            b"POST",
            f"{upstream.url}/chat/completions".encode(),
            received.headers["x-acme-date"].encode(),
            received.raw,
        ]
    )
    signature = hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    assert received.headers["authorization"] == f"HMAC signature={signature}"
    assert list(reply) if stream else reply


async def repeats_the_signature(exchange: Exchange) -> None:
    signature = exchange.received.headers["authorization"].partition("=")[2]
    await exchange.json({"error": {"message": f"{signature} is not what I expect"}}, 400)


def test_a_signature_that_the_provider_repeats_is_hidden(
    sdk: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("repeats", repeats_the_signature)
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model="signed-acme/repeats", messages=HI)
    assert caught.value.body["message"] == "(hidden) is not what I expect"  # type: ignore[index]


# --- the dialect ---------------------------------------------------------------------------------


def test_the_dialect_asks_in_its_wires_words(
    sdk: openai.OpenAI, site: Site, upstream: Upstream
) -> None:
    upstream.script("talks", says(ANSWER))
    answer = sdk.chat.completions.with_raw_response.create(
        model="talking-acme/talks", messages=HI, temperature=0.5, max_tokens=7, seed=1
    )
    received = upstream.requests_for("talks")[-1]
    assert received.path == "/v1/talk"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body == {
        "model": "talks",
        "heat": 0.5,
        "limit": 7,
        "flow": False,
        "turns": [{"who": "user", "text": "Hi"}],
    }
    assert answer.headers["x-native-omitted"] == "seed"
    choice = answer.parse().choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Hello there", "stop")
    record = site.wait_for_usage(provider_model="talks")[-1]
    assert (record["prompt_tokens"], record["completion_tokens"]) == (9, 3)
    assert float(record["cost"]) == pytest.approx((9 * 0.10 + 3 * 0.40) / 1_000_000)


def test_the_dialects_stream_adds_up_to_the_complete_reply(
    sdk: openai.OpenAI, site: Site, upstream: Upstream
) -> None:
    upstream.script("flows", streams(*STREAM))
    with sdk.chat.completions.stream(model="talking-acme/flows", messages=HI) as stream:
        folded = stream.get_final_completion().choices[0]
    assert upstream.requests_for("flows")[-1].body["flow"] is True
    assert (folded.message.role, folded.message.content) == ("assistant", "Hello there")
    assert folded.finish_reason == "stop"
    record = site.wait_for_usage(provider_model="flows")[-1]
    assert (record["prompt_tokens"], record["completion_tokens"]) == (9, 3)
    assert (record["status"], record["estimated"]) == ("ok", 0)


def test_the_dialects_errors(sdk: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("limited", says({"error": {"message": "Slow down."}}, 429))
    with pytest.raises(openai.RateLimitError, match="Slow down"):
        sdk.chat.completions.create(model="talking-acme/limited", messages=HI)
    upstream.script("odd", says({"text": "no end"}))
    with pytest.raises(openai.InternalServerError, match="cannot be understood"):
        sdk.chat.completions.create(model="talking-acme/odd", messages=HI)
    error = json.dumps({"error": {"message": "I am tired."}}).encode()
    upstream.script("tired", streams(STREAM[0], b"data: " + error + b"\n\n"))
    with pytest.raises(openai.APIError, match="I am tired"):
        list(sdk.chat.completions.create(model="talking-acme/tired", messages=HI, stream=True))
    upstream.script("cut", streams(*STREAM[:2]))
    with pytest.raises(openai.APIError, match="ended before the answer"):
        list(sdk.chat.completions.create(model="talking-acme/cut", messages=HI, stream=True))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"extra_body": {"provider_options": {"acme": {"limit": 9}}}}, "provider_options.acme.limit"),
        (
            {"messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]},
            "messages[0]",
        ),
    ],
)  # fmt: skip
def test_what_the_dialect_cannot_express_is_refused(
    sdk: openai.OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(**{"model": "talking-acme/any", "messages": HI, **fields})
    assert (caught.value.code, caught.value.param) == ("unsupported_field", param)


def test_native_check_calls_a_target_of_the_dialect(site: Site, upstream: Upstream) -> None:
    upstream.script("checked", says(ANSWER))
    assert "yes" in manage(site.environment, "native_check", "talking-acme/checked")
