"""The OpenAI SDK with the Responses API, and embeddings."""

from __future__ import annotations

import json
from typing import Any

import openai
from pydantic import BaseModel
from steps import SCHEMAS, SETUP, call, equal, run

client = openai.OpenAI(base_url=SETUP["base_url"], api_key=SETUP["key"], max_retries=0)
TOOLS: list[Any] = [
    {"type": "function", "name": name, "parameters": schema, "strict": True}
    for name, schema in SCHEMAS.items()
]


class Report(BaseModel):
    city: str
    celsius: int
    notes: list[str]


def string_input() -> str:
    answer = client.responses.create(model=SETUP["model"], input=SETUP["report_on"])
    equal(answer.status, "completed")
    equal(answer.store, SETUP["keeps_responses"])
    usage: Any = answer.usage
    equal((usage.input_tokens, usage.output_tokens, usage.total_tokens), (20, 12, 32))
    equal(usage.input_tokens_details.cached_tokens, 5)
    return str(equal(json.loads(answer.output_text), SETUP["report"]))


def ask(send: Any, items: list[Any]) -> Any:
    """Ask for the reasoning, encrypted, and append the whole output to the items."""
    answer = send(
        model=SETUP["model"],
        input=items,
        instructions=SETUP["system"],
        tools=TOOLS,
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
        store=False,
    )
    equal((answer.object, answer.status, answer.store), ("response", "completed", False))
    items += answer.output
    return answer


def converse(send: Any) -> str:
    """A question that needs tools, and thanks for the answer."""
    items: list[Any] = [{"role": "user", "content": SETUP["compare"]}]
    answer = ask(send, items)
    while results := list(outputs(answer)):
        items += results
        answer = ask(send, items)
    equal(answer.output_text, SETUP["conclusion"])
    items.append({"role": "user", "content": SETUP["thanks"]})
    return str(equal(ask(send, items).output_text, SETUP["goodbye"]))


def outputs(answer: Any) -> Any:
    for item in answer.output:
        if item.type == "function_call":
            result = call(item.name, json.loads(item.arguments))
            yield {"type": "function_call_output", "call_id": item.call_id, "output": result}


def items() -> str:
    return converse(client.responses.create)


def raw_events() -> str:
    return converse(read_raw_events)


def read_raw_events(**request: Any) -> Any:
    """The response of the last event, which the events before it must agree with."""
    events = list(client.responses.create(stream=True, **request))
    equal([event.sequence_number for event in events], list(range(len(events))))
    names = [event.type for event in events]
    equal(names[:2], ["response.created", "response.in_progress"])
    equal(names[-1], "response.completed")
    last: Any = events[-1]
    done = [event.item for event in events if event.type == "response.output_item.done"]
    added = [event.item.id for event in events if event.type == "response.output_item.added"]
    equal([item.to_dict() for item in done], [item.to_dict() for item in last.response.output])
    equal(added, [item.id for item in done])
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    equal(text, last.response.output_text)
    return last.response


def streamed() -> str:
    return converse(read_stream)


def read_stream(**request: Any) -> Any:
    with client.responses.stream(**request) as stream:
        list(stream)
        return stream.get_final_response()


def parsed() -> str:
    answer = client.responses.parse(
        model=SETUP["model"], input=SETUP["report_on"], text_format=Report
    )
    return str(equal(answer.output_parsed, Report(**SETUP["report"])))


def counted() -> str:
    count = client.responses.input_tokens.count(model=SETUP["model"], input=SETUP["compare"])
    if SETUP["counted"]:
        equal(count.input_tokens, SETUP["counted"])
    return f"{count.input_tokens} tokens"


def previous_response() -> str:
    """Works where the site keeps responses, else names itself."""
    if SETUP["keeps_responses"]:
        return continue_kept_response()
    try:
        client.responses.create(
            model=SETUP["model"], input=SETUP["thanks"], previous_response_id="resp_1"
        )
    except openai.BadRequestError as error:
        equal(error.param, "previous_response_id")
        return str(error)
    raise AssertionError("previous_response_id was ignored")


def continue_kept_response() -> str:
    request: dict[str, Any] = {"model": SETUP["model"], "tools": TOOLS}
    first = answer = client.responses.create(input=SETUP["compare"], **request)
    while results := list(outputs(answer)):
        answer = client.responses.create(input=results, previous_response_id=answer.id, **request)
    equal(answer.output_text, SETUP["conclusion"])
    last = client.responses.create(input=SETUP["thanks"], previous_response_id=answer.id, **request)
    equal(client.responses.retrieve(first.id).output, first.output)
    equal(len(client.responses.input_items.list(first.id).data), 1)
    client.responses.delete(first.id)
    try:
        client.responses.retrieve(first.id)
    except openai.NotFoundError:
        return str(equal(last.output_text, SETUP["goodbye"]))
    raise AssertionError("a deleted response is still there")


def embeddings() -> str:
    model = SETUP["embedding_model"]
    if not model:
        return "not on this wire"
    reply = client.embeddings.create(model=model, input=["a", "b"])
    return str(equal([item.embedding for item in reply.data], [[0.25, -0.5, 1.0]] * 2)[0])


def errors() -> str:
    wrong_key = client.with_options(api_key="wrong")
    throttled = client.with_options(api_key=SETUP["throttled_key"])
    return "; ".join(
        [
            refused(openai.BadRequestError, client, temperature="hot"),
            refused(openai.AuthenticationError, wrong_key),
            refused(openai.NotFoundError, client, model="no/such-model"),
            refused(openai.RateLimitError, throttled, model="no/such-model"),
        ]
    )


def refused(kind: type[openai.APIStatusError], its_client: Any, **changes: Any) -> str:
    """The error that the SDK raises, of the second call where the first gets another one."""
    request: dict[str, Any] = {"model": SETUP["model"], "input": "Hello", **changes}
    for _ in range(2):
        try:
            its_client.responses.create(**request)
        except openai.APIStatusError as error:
            if type(error) is kind:
                return f"{kind.__name__} {error.code}"
    raise AssertionError(f"no {kind.__name__}")


run(
    string_input,
    items,
    raw_events,
    streamed,
    parsed,
    counted,
    previous_response,
    embeddings,
    errors,
)
