"""A client that disconnects in the middle of a reply, over HTTP, with every wire: the record, its
cost and the budget contain what was produced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.conftest import WIRE_NAMES, Upstreams
from tests.clients.model import ModelOutput
from tests.clients.wires.base import ScriptedModel
from tests.limits.api_client import budget, units
from tests.scripted_provider import Exchange, Script, cuts, says, stalls
from tests.servers import Site, make_template, running_site, until

WORDS = "word " * 1600
"""2,000 tokens."""

INPUT, OUTPUT = Decimal(3), Decimal(15)
"""USD per million tokens."""

LAST_EVENTS = 8
"""More events than any wire sends after the text."""


@pytest.fixture(scope="module")
def site(upstreams: Upstreams, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("leaving")
    price = {"INPUT": str(INPUT), "OUTPUT": str(OUTPUT)}
    settings = {
        "PROVIDERS": {
            name: {**scripted.wire.build_settings(url), "PRICE": price}
            for name, (url, scripted) in upstreams.items()
        },
        "LIMITS": [
            {
                "SUBJECT": "each_user",
                "METRIC": "cost",
                "AMOUNT": "5",
                "WINDOW": "month",
                "MODELS": f"{name}/*",
            }
            for name in upstreams
        ],
        "ATTEMPTS": {"RETRIES": 0},
        "THROTTLE_RATES": {"caller": "100000/m", "failed_auth": "100000/m"},
    }
    with running_site("uvicorn", folder, folder, make_template(folder), settings) as running:
        yield running


@pytest.fixture(params=WIRE_NAMES)
def wire(request: pytest.FixtureRequest, upstreams: Upstreams) -> Iterator[str]:
    name: str = request.param
    yield name
    upstreams[name][1].script = None


def answer_then(
    scripted: ScriptedModel, end: Script | None, change: Callable[[Any], Any] = lambda value: value
) -> Script:
    """The words in the wire's events. `end` replaces the last events, unless it is None."""

    async def script(exchange: Exchange) -> None:
        model_input = scripted.wire.parse_request(exchange.received)
        events = [
            scripted.wire.change_event(event, change)
            for event in scripted.wire.build_stream(
                model_input, ModelOutput(WORDS + "word" * 7 * LAST_EVENTS)
            )
        ]
        await exchange.head(
            200, {"content-type": scripted.wire.media_type, "transfer-encoding": "chunked"}
        )
        for event in events if end is None else events[:-LAST_EVENTS]:
            await exchange.piece(event)
        await (end(exchange) if end is not None else exchange.end())

    return script


def read_and_leave(site: Site, scripted: ScriptedModel, wire: str, characters: int) -> str:
    """Read this many characters of a reply, then disconnect. Returns the request's id."""
    body = {
        "model": f"{wire}/{scripted.wire.models[0]}",
        "stream": True,
        "messages": [{"role": "user", "content": "Tell me."}],
    }
    url, length = f"{site.url}/v1/chat/completions", 0
    with httpx.stream(
        "POST", url, headers=site.headers, json=body, timeout=60, trust_env=False
    ) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            data = json.loads(line[6:]) if line.startswith("data: {") else {}
            length += sum(
                len(choice["delta"].get("content") or "") for choice in data.get("choices", ())
            )
            if length >= characters:
                break
        return answer.headers["x-request-id"]


def sum_costs(site: Site, wire: str) -> Decimal:
    records = site.usage(provider=wire)
    return sum((Decimal(record["cost"]) for record in records), Decimal(0))


def check_record(site: Site, wire: str, request_id: str, status: str) -> None:
    """The record and the budget contain 2,000 tokens and their cost."""
    [record] = site.wait_for_usage(request_id=request_id)
    assert (record["status"], record["estimated"]) == (status, 1)
    assert 2000 <= record["completion_tokens"] <= 2100
    assert record["prompt_tokens"] > 0
    assert record["total_tokens"] == record["prompt_tokens"] + record["completion_tokens"]
    assert (
        Decimal(record["cost"])
        == (INPUT * record["prompt_tokens"] + OUTPUT * record["completion_tokens"]) / 1_000_000
    )
    until(lambda: budget(site, f"{wire}/*") == (units(sum_costs(site, wire)), 0), "the budget")


@pytest.mark.parametrize(
    ("end", "status"),
    [(stalls, "client_closed"), (cuts, "upstream_error")],
    ids=["client", "provider"],
)
def test_a_client_that_leaves_after_2000_tokens_pays_for_them(
    site: Site, upstreams: Upstreams, wire: str, end: Script, status: str
) -> None:
    scripted = upstreams[wire][1]
    scripted.script = answer_then(scripted, end)
    request_id = read_and_leave(site, scripted, wire, len(WORDS) if end is stalls else 10**6)
    check_record(site, wire, request_id, status)


def test_a_whole_reply_whose_usage_is_zeros_is_estimated(
    site: Site, upstreams: Upstreams, wire: str
) -> None:
    scripted = upstreams[wire][1]
    scripted.script = answer_then(scripted, None, zero_counts)
    check_record(site, wire, read_and_leave(site, scripted, wire, 10**6), "ok")


@pytest.mark.parametrize("status", ["queued", "in_progress"])
@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
def test_a_reply_that_a_provider_holds_back_is_an_error(
    site: Site, upstreams: Upstreams, status: str, stream: bool
) -> None:
    """A background response costs money but reports no usage: it must not be recorded as a reply
    of no tokens."""
    scripted = upstreams["openai_responses"][1]
    scripted.script = says(
        {
            "id": "resp_1",
            "object": "response",
            "status": status,
            "background": True,
            "output": [],
            "usage": None,
        }
    )
    body = {
        "model": "openai_responses/gpt-5",
        "stream": stream,
        "messages": [{"role": "user", "content": "Tell me."}],
    }
    answer = httpx.post(
        f"{site.url}/v1/chat/completions",
        headers=site.headers,
        json=body,
        timeout=60,
        trust_env=False,
    )
    scripted.script = None
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_error")
    [record] = site.wait_for_usage(request_id=answer.headers["x-request-id"])
    assert record["status"] == "upstream_error"


def zero_counts(value: Any, inside: bool = False) -> Any:
    counted = ("usage", "usageMetadata", "eval_count", "prompt_eval_count")
    if isinstance(value, dict):
        return {name: zero_counts(item, inside or name in counted) for name, item in value.items()}
    if isinstance(value, list):
        return [zero_counts(item, inside) for item in value]
    return 0 if inside and isinstance(value, int) else value
