"""Responses and Messages are the same gateway as Chat Completions: its budgets, fallbacks, hedging,
conversations and hooks hold for them, each told in the API's own words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.front.apis import APIS, HI, WORDS, Api, events_of, read_events, reply_of
from tests.front.conftest import Serve, native_api
from tests.front.test_call_hooks import HOOKS
from tests.scripted_provider import Upstream, cuts, says, stalls, streams
from tests.servers import Site, manage, run

SIGNING = "claude-haiku-4-5"
PRICE = {"INPUT": "1", "OUTPUT": "1"}


def to(*models: str, **more: Any) -> dict[str, Any]:
    """A route to these models of `up`, in this order."""
    targets = [
        {"PROVIDER": "up", "MODEL": model, "PRIORITY": priority}
        for priority, model in enumerate(models)
    ]
    return {"TARGETS": targets, **more}


BETWEEN_WIRES = {
    f"{first}-then-{second}": (first, second)
    for first, second in permutations(("up", "claude", "responses"), 2)
}
"""Route -> the providers of its targets. The first one is broken."""


def between(first: str, second: str) -> dict[str, Any]:
    targets = [
        {"PROVIDER": first, "MODEL": f"broken-then-{second}", "PRIORITY": 0},
        {"PROVIDER": second, "MODEL": f"works-{second}", "PRIORITY": 1},
    ]
    return {"TARGETS": targets}


@pytest.fixture(scope="module")
def routed(upstream: Upstream, serve: Serve) -> Iterator[Site]:
    sticky = [{"PROVIDER": "up", "MODEL": f"sticky-{number}"} for number in range(8)]
    settings = native_api(
        upstream,
        MODELS={
            "falls-back": to("broken", "works"),
            "hedged": to("late", "early", HEDGE=0.2),
            "spread": {"TARGETS": sticky, "STRATEGY": "weighted"},
            "priced": {"TARGETS": [{"PROVIDER": "up", "MODEL": "works", "PRICE": PRICE}]},
            "other": to("works"),
            **{route: between(*providers) for route, providers in BETWEEN_WIRES.items()},
        },
        LIMITS=[
            {
                "SUBJECT": "everyone",
                "METRIC": "cost",
                "AMOUNT": "0.000001",
                "WINDOW": "month",
                "MODELS": "priced",
            }
        ],
        CONVERSATION_ID_FROM=["x-claude-code-session-id", "metadata.user_id", "prompt_cache_key"],
    )
    with serve("uvicorn", settings) as running:
        yield running


@pytest.fixture(params=["responses", "messages"])
def api(request: pytest.FixtureRequest) -> Api:
    return APIS[request.param]


@pytest.fixture(params=[False, True], ids=["complete", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def post(site: Site, api: Api, model: str, headers: Any = None, **fields: Any) -> httpx.Response:
    return httpx.post(
        site.url + api.path,
        json=api.body(model, **fields),
        headers={**site.headers, **(headers or {})},
        trust_env=False,
        timeout=60,
    )


def script(upstream: Upstream, model: str, provider: str = "up") -> None:
    """Answers WORDS, streamed if requested."""

    async def answer(exchange: Any) -> None:
        begun, rest = events_of(provider)
        is_stream = exchange.received.body.get("stream")
        await (streams(*begun, *rest) if is_stream else says(reply_of(provider)))(exchange)

    upstream.script(model, answer)


def text_of(api: Api, response: httpx.Response, stream: bool) -> str:
    assert response.status_code == 200, response.text
    if not stream:
        return api.read_text(response.json())
    deltas = [event.get("delta") for event in read_events(response.text)]
    texts = [delta.get("text", "") if isinstance(delta, dict) else delta or "" for delta in deltas]
    return "".join(texts)


def test_a_fallback(routed: Site, upstream: Upstream, api: Api, stream: bool) -> None:
    upstream.script("broken", says({"error": {"message": "no"}}, 500))
    script(upstream, "works")
    response = post(routed, api, "falls-back", stream=stream)
    assert text_of(api, response, stream) == WORDS
    assert response.headers["x-native-model"] == "falls-back"
    [record] = routed.wait_for_usage(request_id=response.headers["x-request-id"])
    assert (record["endpoint"], record["provider_model"]) == (api.endpoint, "works")


ONLY_THERE: dict[str, dict[str, Any]] = {
    "responses": {"truncation": "auto"},
    "messages": {"context_management": {"edits": []}},
}
"""A field of each API that no other API has."""


@pytest.mark.parametrize("route", BETWEEN_WIRES)
def test_a_fallback_on_another_wire(
    routed: Site, upstream: Upstream, api: Api, stream: bool, route: str
) -> None:
    """Each target gets the request in its own words, and what is left out is that of the target
    that answered."""
    _, second = BETWEEN_WIRES[route]
    upstream.script(f"broken-then-{second}", says({"error": {"message": "no"}}, 500))
    script(upstream, f"works-{second}", second)
    fields = ONLY_THERE[api.name]
    response = post(routed, api, route, stream=stream, **fields)
    assert text_of(api, response, stream) == WORDS
    is_same_wire = second == {"responses": "responses", "messages": "claude"}[api.name]
    sent = upstream.requests_for(f"works-{second}")[-1].body
    assert (fields.items() <= sent.items()) is is_same_wire
    omitted = response.headers.get("x-native-omitted")
    assert omitted == (None if is_same_wire else next(iter(fields)))
    [record] = routed.wait_for_usage(request_id=response.headers["x-request-id"])
    assert (record["provider"], record["attempts"]) == (second, 2)


def test_a_fallback_of_the_request(
    routed: Site, upstream: Upstream, api: Api, stream: bool
) -> None:
    upstream.script("alone", says({"error": {"message": "no"}}, 500))
    script(upstream, "works")
    response = post(routed, api, "up/alone", stream=stream, fallbacks=["other"])
    assert text_of(api, response, stream) == WORDS
    assert response.headers["x-native-model"] == "other"


def test_hedging(routed: Site, upstream: Upstream, api: Api, stream: bool) -> None:
    upstream.script("late", stalls)
    script(upstream, "early")
    response = post(routed, api, "hedged", stream=stream)
    assert text_of(api, response, stream) == WORDS
    records = routed.wait_for_usage(2, request_id=response.headers["x-request-id"])
    assert sorted((record["status"], record["provider_model"]) for record in records) == [
        ("client_closed", "late"),
        ("ok", "early"),
    ]


def test_a_spent_budget_is_a_402_that_is_not_retried(routed: Site, upstream: Upstream) -> None:
    script(upstream, "works")
    with (
        openai.OpenAI(base_url=f"{routed.url}/v1", api_key=routed.key) as client,
        pytest.raises(openai.APIStatusError, match="budget") as raised,
    ):
        client.responses.create(model="priced", input="Hi")
    assert raised.value.status_code == 402
    with (
        anthropic.Anthropic(base_url=routed.url, api_key=routed.key) as client,
        pytest.raises(anthropic.APIStatusError, match="budget") as refused,
    ):
        client.messages.create(
            model="priced", max_tokens=9, messages=APIS["messages"].question["messages"]
        )
    assert refused.value.status_code == 402
    assert refused.value.body["error"]["type"] == "billing_error"  # type: ignore[index]
    assert refused.value.response.headers["x-should-retry"] == "false"
    records = routed.wait_for_usage(2, model="priced")
    assert {(record["status"], record["error_code"]) for record in records} == {
        ("refused", "budget_exceeded")
    }
    assert len(records) == 2, "no SDK has asked again"


CONVERSATIONS: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("messages", {"metadata": {"user_id": "session-%d"}}, {}),
    ("messages", {}, {"x-claude-code-session-id": "session-%d"}),
    ("responses", {"prompt_cache_key": "session-%d"}, {}),
    ("chat", {"prompt_cache_key": "session-%d"}, {}),
    ("messages", {"conversation_id": "session-%d"}, {}),
]


@pytest.mark.parametrize(("name", "fields", "headers"), CONVERSATIONS)
def test_a_conversation_stays_at_one_target(
    routed: Site, upstream: Upstream, name: str, fields: Any, headers: Any
) -> None:
    for number in range(8):
        script(upstream, f"sticky-{number}")
    chosen = []
    for session in range(6):
        written = json.loads(json.dumps([fields, headers]).replace("%d", str(session)))
        targets = set()
        for _ in range(3):
            before = len(upstream.requests)
            response = post(routed, APIS[name], "spread", written[1], **written[0])
            assert response.status_code == 200, response.text
            targets |= {received.model for received in upstream.requests[before:]}
        assert len(targets) == 1
        chosen += targets
    assert len(set(chosen)) > 1, "conversations are spread over the targets"


def test_what_is_left_out_is_named_in_the_apis_words(routed: Site, upstream: Upstream) -> None:
    script(upstream, "works")
    response = post(routed, APIS["messages"], "other", top_k=3, thinking={"type": "enabled", "budget_tokens": 2000}, context_management={"edits": []})  # fmt: skip
    assert response.status_code == 200, response.text
    assert {"thinking.budget_tokens", "context_management"} <= set(
        response.headers["x-native-omitted"].split(", ")
    )
    response = post(
        routed, APIS["responses"], "other", truncation="auto", reasoning={"summary": "auto"}
    )
    assert {"truncation", "reasoning.summary"} <= set(
        response.headers["x-native-omitted"].split(", ")
    )
    response = post(routed, APIS["responses"], "other", max_tokens=5, verbosity="low")
    assert response.headers["x-native-omitted"] == "max_tokens, verbosity"


@pytest.mark.parametrize("provider", ["up", "claude", "responses"])
def test_a_conversation_that_is_too_long_names_the_apis_field(
    routed: Site, upstream: Upstream, api: Api, provider: str
) -> None:
    error = {"type": "x", "message": "prompt is too long", "code": "context_length_exceeded"}
    upstream.script("short", says({"type": "error", "error": error}, 400))
    answer = post(routed, api, f"{provider}/short").json()["error"]
    place = answer if api.name == "responses" else answer["details"]
    assert place["param"] == ("input" if api.name == "responses" else "messages")


# --- streams that break --------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["up", "claude", "responses"])
def test_the_sdks_raise_their_errors(routed: Site, upstream: Upstream, provider: str) -> None:
    begun, _ = events_of(provider)
    upstream.script("breaks", streams(*begun, cuts))
    with (
        anthropic.Anthropic(base_url=routed.url, api_key=routed.key, max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError, match="broke"),
        client.messages.stream(model=f"{provider}/breaks", max_tokens=9, messages=HI) as stream,
    ):
        stream.get_final_message()
    with (
        openai.OpenAI(base_url=f"{routed.url}/v1", api_key=routed.key, max_retries=0) as client,
        pytest.raises(openai.APIError, match="broke"),
    ):
        list(client.responses.create(model=f"{provider}/breaks", input="Hi", stream=True))


# --- sealed reasoning ----------------------------------------------------------------------------


def signed_turn(site: Site, upstream: Upstream) -> list[Any]:
    """Blocks with a sealed signature, as a caller was given them."""
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig-of-the-provider"},
        {"type": "text", "text": "Hello"},
    ]
    reply = {**reply_of("claude"), "content": blocks}
    upstream.script(SIGNING, says(reply))
    message = post(site, APIS["messages"], f"claude/{SIGNING}").json()
    assert message["content"][0]["signature"].startswith("nseal1.")
    content: list[Any] = message["content"]
    return content


def test_a_signature_goes_back_to_its_provider_for_its_caller_only(
    routed: Site, upstream: Upstream
) -> None:
    turn = {"role": "assistant", "content": signed_turn(routed, upstream)}
    hello = {"role": "user", "content": "Hi"}
    messages = [hello, turn, hello]
    response = post(routed, APIS["messages"], f"claude/{SIGNING}", messages=messages)
    assert "x-native-omitted" not in response.headers
    sent = upstream.requests_for(SIGNING)[-1].body["messages"][1]["content"]
    assert sent[0]["signature"] == "sig-of-the-provider"
    bob = key_of_another_user(routed)
    response = post(
        routed,
        APIS["messages"],
        f"claude/{SIGNING}",
        {"authorization": f"Bearer {bob}"},
        messages=messages,
    )
    assert response.status_code == 200, response.text
    assert "messages.signature" in response.headers["x-native-omitted"]
    sent = upstream.requests_for(SIGNING)[-1].body["messages"][1]["content"]
    assert [block["type"] for block in sent] == ["text"]


def test_reasoning_of_another_wire_goes_back_in_the_same_way(
    routed: Site, upstream: Upstream
) -> None:
    """A client of Responses, in front of Anthropic."""
    signed_turn(routed, upstream)
    model, hello = f"claude/{SIGNING}", {"role": "user", "content": "Hi"}
    output = post(routed, APIS["responses"], model).json()["output"]
    [reasoning] = [item for item in output if item["type"] == "reasoning"]
    assert reasoning["encrypted_content"].startswith("nseal1.")
    items = [hello, *output, hello]
    response = post(routed, APIS["responses"], model, input=items)
    assert "x-native-omitted" not in response.headers
    sent = upstream.requests_for(SIGNING)[-1].body["messages"][1]["content"]
    assert sent[0]["signature"] == "sig-of-the-provider"
    bob = {"authorization": f"Bearer {key_of_another_user(routed)}"}
    response = post(routed, APIS["responses"], model, bob, input=items)
    assert response.status_code == 200, response.text
    assert "input.encrypted_content" in response.headers["x-native-omitted"]
    assert "sig-of-the-provider" not in str(upstream.requests_for(SIGNING)[-1].body)


def key_of_another_user(site: Site) -> str:
    code = "from django.contrib.auth.models import User; User.objects.get_or_create(username='bob')"
    run(site.environment, "-m", "django", "shell", "-c", code)
    return manage(site.environment, "native_key", "create", "bob", "--name", "bobs")


# --- hooks ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hooked(upstream: Upstream, serve: Serve) -> Iterator[Site]:
    with serve("uvicorn", native_api(upstream, HOOKS=HOOKS)) as running:
        yield running


@pytest.mark.parametrize("provider", ["up", "claude", "responses"])
def test_hooks_change_requests_replies_and_chunks(
    hooked: Site, upstream: Upstream, api: Api, stream: bool, provider: str
) -> None:
    begun, rest = events_of(provider)
    upstream.script("heard", streams(*begun, *rest) if stream else says(reply_of(provider)))
    question = "messages" if api.name == "messages" else "input"
    asked = {question: [{"role": "user", "content": "be quiet"}]}
    response = post(hooked, api, f"{provider}/heard", stream=stream, **asked)
    assert text_of(api, response, stream) == WORDS.upper()
    assert "be loud" in json.dumps(upstream.requests_for("heard")[-1].body)
    [record] = hooked.wait_for_usage(request_id=response.headers["x-request-id"])
    assert (record["status"], json.loads(record["metadata"])) == ("ok", {"team": "search"})


def test_a_hook_refuses(hooked: Site, api: Api, stream: bool) -> None:
    question = "messages" if api.name == "messages" else "input"
    asked = {question: [{"role": "user", "content": "a forbidden word"}]}
    response = post(hooked, api, "hello", stream=stream, **asked)
    assert (response.status_code, response.json()["error"]["message"]) == (
        400,
        "This word is not for models.",
    )
    [record] = hooked.wait_for_usage(request_id=response.headers["x-request-id"])
    assert (record["error_code"], record["endpoint"]) == ("forbidden_word", api.endpoint)


def test_a_hook_hears_of_counts_too(hooked: Site) -> None:
    body = {"model": "hello", "messages": [{"role": "user", "content": "a forbidden word"}]}
    response = httpx.post(
        f"{hooked.url}/v1/messages/count_tokens",
        json=body,
        headers=hooked.headers,
        trust_env=False,
        timeout=60,
    )
    assert response.status_code == 400
