"""The Anthropic SDK: complete, streamed, tools, structured, counted, models, typed errors."""

from __future__ import annotations

from typing import Any

import anthropic
from pydantic import BaseModel
from steps import SCHEMAS, SETUP, call, equal, run

client = anthropic.Anthropic(base_url=SETUP["root"], api_key=SETUP["key"], max_retries=0)
THINKING: dict[str, Any] = {"type": "enabled", "budget_tokens": 1024}
TOOLS: list[Any] = [{"name": name, "input_schema": schema} for name, schema in SCHEMAS.items()]


class Report(BaseModel):
    city: str
    celsius: int
    notes: list[str]


def converse(send: Any) -> str:
    """A question that needs tools, and thanks for the answer."""
    messages: list[Any] = [{"role": "user", "content": SETUP["compare"]}]
    answer = ask(send, messages)
    while answer.stop_reason == "tool_use":
        uses = [block for block in answer.content if block.type == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": use.id, "content": call(use.name, use.input)}
            for use in uses
        ]
        messages.append({"role": "user", "content": results})
        answer = ask(send, messages)
    equal(text_of(answer), SETUP["conclusion"])
    messages.append({"role": "user", "content": SETUP["thanks"]})
    return str(equal(text_of(ask(send, messages)), SETUP["goodbye"]))


def ask(send: Any, messages: list[Any]) -> Any:
    answer = send(
        model=SETUP["model"],
        max_tokens=2048,
        system=SETUP["system"],
        messages=messages,
        tools=TOOLS,
        thinking=THINKING,
    )
    messages.append({"role": "assistant", "content": answer.content})
    equal((answer.type, answer.role, answer.model), ("message", "assistant", SETUP["model"]))
    check_usage(answer.usage)
    return answer


def check_usage(usage: Any) -> None:
    """Cached tokens are counted apart."""
    written = usage.cache_creation_input_tokens or 0
    equal(usage.cache_read_input_tokens, 5)
    equal(usage.input_tokens + usage.cache_read_input_tokens + written, 20)
    equal(usage.output_tokens, 12)


def text_of(answer: Any) -> str:
    return "".join(block.text for block in answer.content if block.type == "text")


def complete() -> str:
    return converse(client.messages.create)


def streamed() -> str:
    return converse(stream)


def stream(**request: Any) -> Any:
    """The message that the SDK makes of the events, and that its own helper for texts agrees."""
    with client.messages.stream(**request) as events:
        kinds = [(event.type, getattr(event, "index", None), event) for event in events]
        answer = events.get_final_message()
    names = [kind for kind, _, _ in kinds]
    equal((names[0], names[-1]), ("message_start", "message_stop"))
    texts = [event.text for kind, _, event in kinds if kind == "text"]
    equal("".join(texts), text_of(answer))
    starts = [index for kind, index, _ in kinds if kind == "content_block_start"]
    stops = [index for kind, index, _ in kinds if kind == "content_block_stop"]
    equal(starts, list(range(len(answer.content))))
    equal(sorted(stops), starts)
    return answer


def structured() -> str:
    answer: Any = client.messages.parse(
        model=SETUP["model"],
        max_tokens=1024,
        messages=[{"role": "user", "content": SETUP["report_on"]}],
        output_format=Report,
    )
    return str(equal(answer.parsed_output, Report(**SETUP["report"])))


def forced_tool() -> str:
    answer: Any = client.messages.create(
        model=SETUP["model"],
        max_tokens=1024,
        messages=[{"role": "user", "content": SETUP["report_on"]}],
        tools=[{"name": "report", "input_schema": Report.model_json_schema()}],
        tool_choice={"type": "tool", "name": "report"},
    )
    [use] = [block for block in answer.content if block.type == "tool_use"]
    return str(equal(use.input, SETUP["report"]))


def counted() -> str:
    count = client.messages.count_tokens(
        model=SETUP["model"],
        messages=[{"role": "user", "content": SETUP["compare"]}],
        tools=TOOLS,
    )
    if SETUP["counted"]:
        equal(count.input_tokens, SETUP["counted"])
    if count.input_tokens < 1:
        raise AssertionError("no tokens")
    return f"{count.input_tokens} tokens"


def models() -> str:
    page = client.models.list(limit=1000)
    found = {model.id: model for model in page.data}
    model = found[SETUP["model"]]
    equal((model.type, bool(model.display_name), bool(model.created_at)), ("model", True, True))
    equal(client.models.retrieve(SETUP["model"]).id, SETUP["model"])
    return f"{model.id}: {model.display_name}"


def errors() -> str:
    wrong_key = client.with_options(api_key="wrong")
    throttled = client.with_options(api_key=SETUP["throttled_key"])
    seen = [
        refused(anthropic.BadRequestError, client, max_tokens=-1),
        refused(anthropic.AuthenticationError, wrong_key),
        refused(anthropic.NotFoundError, client, model="no/such-model"),
        refused(anthropic.RateLimitError, throttled, model="no/such-model"),
    ]
    return "; ".join(seen)


def refused(kind: type[anthropic.APIStatusError], its_client: Any, **changes: Any) -> str:
    """The error that the SDK raises, of the second call where the first gets another one."""
    request: dict[str, Any] = {
        "model": SETUP["model"],
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Hello"}],
        **changes,
    }
    for _ in range(2):
        try:
            its_client.messages.create(**request)
        except anthropic.APIStatusError as error:
            if type(error) is kind:
                return f"{kind.__name__} {check_body(error)}"
    raise AssertionError(f"no {kind.__name__}")


def check_body(error: anthropic.APIStatusError) -> str:
    """Anthropic's envelope, with the id of the request in header and body. Returns the type."""
    body: Any = error.body
    equal(body["type"], "error")
    if not error.request_id:
        raise AssertionError("no request id") from error
    equal(body["request_id"], error.request_id)
    return str(body["error"]["type"])


run(complete, streamed, structured, forced_tool, counted, models, errors)
