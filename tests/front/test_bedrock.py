"""Amazon Bedrock behind a real server: signed requests, binary streams, and what the official SDK
makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion

from tests.aws_eventstream_writer import event, exception
from tests.aws_signature import authorization_members, signature_of
from tests.front.conftest import Serve, native_api, sdk_for
from tests.scripted_provider import Exchange, Script, Upstream, cuts, says, streams
from tests.servers import Site

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
BINARY = "application/vnd.amazon.eventstream"
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123xyz"
HI: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
USAGE = {
    "inputTokens": 400,
    "outputTokens": 70,
    "totalTokens": 570,
    "cacheReadInputTokens": 90,
    "cacheWriteInputTokens": 10,
}


@pytest.fixture(scope="module")
def site(upstream: Upstream, serve: Serve) -> Iterator[Site]:
    """`bedrock` signs with a key of its own, `role` with what the process's environment has,
    `token` sends a Bedrock API key."""
    where = {
        "PRESET": "bedrock",
        "BASE_URL": upstream.url.removesuffix("/v1"),
        "OPTIONS": {"region": "us-east-1"},
    }
    role = {**where, "IDENTITY_HOSTS": ["127.0.0.1"]}
    providers = {
        "bedrock": {**where, "API_KEY": f"AKIDEXAMPLE:{SECRET}"},
        "role": role,
        "token": {**where, "API_KEY": "ABSKexample"},
    }
    environment = {
        "AWS_ACCESS_KEY_ID": "AKIDROLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": "session/token==",
    }
    settings = native_api(upstream, PROVIDERS=providers, MODELS={})
    with serve("uvicorn", settings, **environment) as running:
        yield running


@pytest.fixture
def sdk(site: Site) -> Iterator[openai.OpenAI]:
    with sdk_for(site) as client:
        yield client


def reply(*content: Any, reason: str = "end_turn") -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": reason,
        "usage": USAGE,
        "metrics": {"latencyMs": 1},
    }


def delta(index: int, **piece: Any) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": piece})


def end(reason: str = "end_turn") -> bytes:
    return event("messageStop", {"stopReason": reason}) + event(
        "metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}}
    )


def binary(*steps: bytes | Script) -> Script:
    return streams(event("messageStart", {"role": "assistant"}), *steps, content_type=BINARY)


def either(whole: Any, streamed: Script) -> Script:
    """Answers as the path asks."""

    async def script(exchange: Exchange) -> None:
        await (streamed if exchange.received.path.endswith("/converse-stream") else says(whole))(
            exchange
        )

    return script


HELLO = either(
    reply({"text": "Grüß dich"}), binary(delta(0, text="Grüß"), delta(0, text=" dich"), end())
)


@pytest.mark.parametrize("model", ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", ARN])
@pytest.mark.parametrize(("provider", "key_id"), [("bedrock", "AKIDEXAMPLE"), ("role", "AKIDROLE")])
@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "streamed"])
def test_bedrock_accepts_the_signature(
    sdk: openai.OpenAI, upstream: Upstream, model: str, provider: str, key_id: str, streamed: bool
) -> None:
    upstream.script(model, HELLO)
    answer: Any = sdk.chat.completions.create(
        model=f"{provider}/{model}", messages=HI, stream=streamed
    )
    words = (
        "".join(chunk.choices[0].delta.content or "" for chunk in answer)
        if streamed
        else answer.choices[0].message.content
    )
    assert words == "Grüß dich"
    received = upstream.requests_for(model)[-1]
    assert authorization_members(received)["Credential"].startswith(f"{key_id}/")
    assert authorization_members(received)["Signature"] == signature_of(
        received, SECRET, "us-east-1", "bedrock"
    )
    assert received.headers["accept"] == (BINARY if streamed else "application/json")


def test_a_bedrock_api_key_is_sent_as_it_is(sdk: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("tokened", HELLO)
    sdk.chat.completions.create(model="token/tokened", messages=HI)
    assert upstream.requests_for("tokened")[-1].headers["authorization"] == "Bearer ABSKexample"


THOUGHT = {"reasoningContent": {"reasoningText": {"text": "I should look.", "signature": "sig=="}}}
USE = {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Oslo"}}}
CALLS = either(
    reply(THOUGHT, {"text": "One moment."}, USE, reason="tool_use"),
    binary(
        delta(0, reasoningContent={"text": "I should "}),
        delta(0, reasoningContent={"text": "look."}),
        delta(0, reasoningContent={"signature": "sig=="}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        delta(1, text="One moment."),
        event("contentBlockStop", {"contentBlockIndex": 1}),
        event(
            "contentBlockStart",
            {
                "contentBlockIndex": 2,
                "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "weather"}},
            },
        ),
        delta(2, toolUse={"input": '{"city":'}),
        delta(2, toolUse={"input": '"Oslo"}'}),
        event("contentBlockStop", {"contentBlockIndex": 2}),
        end("tool_use"),
    ),
)


@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "streamed"])
def test_a_conversation_with_tools(
    sdk: openai.OpenAI, site: Site, upstream: Upstream, streamed: bool
) -> None:
    model = f"us.anthropic.claude-tools-{streamed}"
    upstream.script(model, CALLS)
    asked: Any = {"model": f"bedrock/{model}", "messages": HI, "tools": [WEATHER]}
    if streamed:
        with sdk.chat.completions.stream(**asked) as stream:
            said = stream.get_final_completion().choices[0]
    else:
        said = sdk.chat.completions.create(**asked).choices[0]
    assert (said.finish_reason, said.message.content) == ("tool_calls", "One moment.")
    spoken: Any = said.message.to_dict()
    for call in spoken["tool_calls"]:
        call["function"].pop("parsed_arguments", None)
    assert spoken["reasoning_content"] == "I should look."
    result = {"role": "tool", "tool_call_id": "tooluse_1", "content": "rain"}
    sdk.chat.completions.create(
        model=f"bedrock/{model}", messages=[*HI, without_nulls(spoken), result], tools=[WEATHER]
    )
    turns = upstream.requests_for(model)[-1].body["messages"]
    assert turns[1] == {"role": "assistant", "content": [THOUGHT, {"text": "One moment."}, USE]}
    assert turns[2]["content"] == [
        {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "rain"}]}}
    ]
    record = site.wait_for_usage(model=f"bedrock/{model}", stream=streamed)[0]
    assert (record["status"], record["prompt_tokens"], record["completion_tokens"]) == (
        "ok",
        500,
        70,
    )
    assert (record["cached_tokens"], record["cache_write_tokens"]) == (90, 10)


def without_nulls(message: dict[str, Any]) -> Any:
    return {
        name: value for name, value in message.items() if value is not None and name != "parsed"
    }


SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "weather",
        "schema": {"type": "object", "properties": {"degrees": {"type": "integer"}}},
    },
}
JSON = '{"degrees":7}'


@pytest.mark.parametrize(
    ("model", "script", "asked"),
    [
        (
            "us.anthropic.claude-sonnet-4-6",
            either(reply({"text": JSON}), binary(delta(0, text=JSON), end())),
            "outputConfig",
        ),
        (
            "us.amazon.nova-pro-v1:0",
            either(
                reply(
                    {
                        "toolUse": {
                            "toolUseId": "t",
                            "name": "json_response",
                            "input": {"degrees": 7},
                        }
                    },
                    reason="tool_use",
                ),
                binary(
                    event(
                        "contentBlockStart",
                        {
                            "contentBlockIndex": 0,
                            "start": {"toolUse": {"toolUseId": "t", "name": "json_response"}},
                        },
                    ),
                    delta(0, toolUse={"input": JSON}),
                    end("tool_use"),
                ),
            ),
            "toolConfig",
        ),
    ],
    ids=["native", "by-tool"],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "streamed"])
def test_a_structured_answer(
    sdk: openai.OpenAI, upstream: Upstream, model: str, script: Script, asked: str, streamed: bool
) -> None:
    upstream.script(model, script)
    answer: Any = sdk.chat.completions.create(
        model=f"bedrock/{model}", messages=HI, response_format=SCHEMA, stream=streamed
    )
    if streamed:
        chunks = list(answer)
        content = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        reason = chunks[-1].choices[0].finish_reason
    else:
        content, reason = answer.choices[0].message.content, answer.choices[0].finish_reason
    assert (json.loads(content), reason) == ({"degrees": 7}, "stop")
    assert asked in upstream.requests_for(model)[-1].body


def test_citations_pass_a_client_that_checks_every_field(
    sdk: openai.OpenAI, upstream: Upstream
) -> None:
    citation = {
        "title": "report",
        "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
    }
    upstream.script(
        "cited",
        says(
            reply({"citationsContent": {"content": [{"text": "Rain."}], "citations": [citation]}})
        ),
    )
    answer = sdk.chat.completions.create(model="bedrock/cited", messages=HI)
    annotations: Any = (
        ChatCompletion.model_validate(answer.to_dict()).choices[0].message.to_dict()["annotations"]
    )
    assert annotations == [
        {
            "type": "url_citation",
            "url_citation": {**citation, "url": "", "start_index": 0, "end_index": 5},
        }
    ]


@pytest.mark.parametrize(
    ("status", "kind", "words", "expected"),
    [
        (
            400,
            "ValidationException",
            "Input is too long for requested model.",
            (400, "context_length_exceeded"),
        ),
        (400, "ServiceQuotaExceededException", "Enough.", (429, "rate_limit_exceeded")),
        (
            403,
            "AccessDeniedException",
            "You don't have access to the model.",
            (502, "provider_error"),
        ),
        (424, "ModelErrorException", "It broke.", (502, "provider_error")),
    ],
)
def test_a_refusal_has_its_row_of_the_table(
    sdk: openai.OpenAI,
    upstream: Upstream,
    status: int,
    kind: str,
    words: str,
    expected: tuple[int, str],
) -> None:
    upstream.script(
        f"refuses-{kind}",
        says(
            {"message": words}, status, {"x-amzn-ErrorType": f"{kind}:http://internal.amazon.com/"}
        ),
    )
    for stream in (False, True):
        with pytest.raises(openai.APIStatusError, match=words) as caught:
            sdk.chat.completions.create(model=f"bedrock/refuses-{kind}", messages=HI, stream=stream)
        assert (caught.value.status_code, caught.value.code) == expected


def test_an_exception_before_the_first_word_is_an_ordinary_error(
    sdk: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script(
        "throttled", binary(exception("throttlingException", {"message": "Too many tokens"}))
    )
    with pytest.raises(openai.RateLimitError, match="Too many tokens"):
        sdk.chat.completions.create(model="bedrock/throttled", messages=HI, stream=True)


FAILED = exception("modelStreamErrorException", {"message": "It broke.", "originalStatusCode": 500})


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (FAILED, "It broke."),
        (b"\x00" * 16, "damaged"),
        (event("messageStop", {"stopReason": "end_turn"})[:-1], "ended before the answer did"),
        (cuts, "broke off its answer"),
    ],
    ids=["exception", "damaged", "cut-short", "reset"],
)
def test_a_stream_that_fails_ends_in_an_error_event(
    site: Site, upstream: Upstream, then: Any, words: str
) -> None:
    gate = upstream.gate()
    upstream.script("fails-late", binary(delta(0, text="half"), gate, then))
    body = {"model": "bedrock/fails-late", "messages": HI, "stream": True}
    with httpx.stream(
        "POST",
        f"{site.url}/v1/chat/completions",
        headers=site.headers,
        json=body,
        timeout=60,
        trust_env=False,
    ) as answer:
        lines = answer.iter_lines()
        assert any('"content":"half"' in line for line in lines), "it leaves when it came"
        gate.open()
        rest = "".join(lines)
    assert words in rest
    assert '"type":"upstream_error"' in rest
    assert "[DONE]" not in rest


def test_no_secret_is_in_the_log(site: Site) -> None:
    assert SECRET not in site.log()
    assert "ABSKexample" not in site.log()
