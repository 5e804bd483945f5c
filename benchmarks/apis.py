"""Shows what a call costs in each API of clients, on its own wire and translated: CPU time of the
server's event loop, as a ratio of Chat Completions in the same run.

    python -m benchmarks.apis [--seconds 4]

Complete calls, chunks (what a longer stream costs more than a shorter one), and the first request of
a coding agent (115 KB). Everything is
on, as in `benchmarks.gateway`. The time of the loop is that of the server's main thread.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.gateway import load, mock_provider, pin_to_first_core
from benchmarks.upstream import CHUNKS, LONG_CHUNKS
from tests.servers import Site, make_template, running_site

WIRES: Final = {
    "chat": "openai",
    "responses": "openai_responses",
    "messages": "anthropic",
}
"""The API in front -> the dialect that speaks it."""
PATHS: Final = {"chat": "chat/completions", "responses": "responses", "messages": "messages"}

Pair = tuple[str, str]
"""An API and a wire."""

CALL_LIMIT: Final = 1.0
CHUNK_LIMIT: Final = 0.8
TRANSLATED_CALL_LIMIT: Final = 1.3
TRANSLATED_CHUNK_LIMIT: Final = 25.0
"""Microseconds."""
AGENT_LIMIT: Final = 3000.0
"""Microseconds."""


class Cost(NamedTuple):
    """Microseconds of the event loop: for a call, for a chunk, for a coding agent's first
    request."""

    call: float
    chunk: float
    agent: float


SYSTEM: Final = "You are a coding agent."
ABOUT_TOOL: Final = "Reads, writes, searches or runs something. " * 70
SCHEMA: Final = {
    "type": "object",
    "properties": {
        name: {"type": "string", "description": "What it means. " * 12}
        for name in ("path", "pattern", "content")
    },
    "required": ["path"],
    "additionalProperties": False,
}


def build_body(api: str, model: str, text: str, tools: int = 0) -> dict[str, Any]:
    """A request with so many tools of a coding agent's size."""
    body = {"model": model, **build_conversation(api, text)}
    if tools:
        body["tools"] = [build_tool(api, f"tool_{number}") for number in range(tools)]
    return body


def build_conversation(api: str, text: str) -> dict[str, Any]:
    if api == "chat":
        system = {"role": "system", "content": SYSTEM}
        return {"messages": [system, {"role": "user", "content": text}]}
    if api == "responses":
        content = [{"type": "input_text", "text": text}]
        turn = {"role": "user", "content": content}
        return {"instructions": SYSTEM, "input": [turn], "store": False}
    return {
        "system": [{"type": "text", "text": SYSTEM}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}],
        "max_tokens": 32000,
    }


def build_tool(api: str, name: str) -> dict[str, Any]:
    function = {"name": name, "description": ABOUT_TOOL, "parameters": SCHEMA}
    if api == "chat":
        return {"type": "function", "function": function}
    if api == "responses":
        return {"type": "function", **function}
    return {"name": name, "description": ABOUT_TOOL, "input_schema": SCHEMA}


def loop_microseconds(site: Site) -> float:
    """The CPU time that the server's main thread has used."""
    pid = site.process.pid
    fields = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
    return int(fields[0]) / 1000


def measure(site: Site, api: str, body: dict[str, Any], seconds: float) -> float:
    """Microseconds of the loop for one request."""
    url = f"{site.url}/v1/{PATHS[api]}"
    load(url, 2, 0.1, headers=site.headers, body=body)
    before = loop_microseconds(site)
    row = load(url, 2, seconds, headers=site.headers, body=body)
    return (loop_microseconds(site) - before) / row["requests"]


KINDS: Final = ("call", "stream", "long stream", "agent")


def build_request(kind: str, api: str, wire: str) -> dict[str, Any]:
    if kind == "agent":
        return build_body(api, wire, "x" * 20_000, 24)
    if kind == "call":
        return build_body(api, wire, "Hello, how are you?")
    model = f"{wire}-long" if kind == "long stream" else wire
    return {**build_body(api, model, "Hello, how are you?"), "stream": True}


def measure_all(site: Site, pairs: list[Pair], seconds: float, rounds: int) -> dict[Pair, Cost]:
    """The least of several rounds, which take turns: other work on the machine only adds."""
    least: dict[tuple[Pair, str], float] = {}
    for _ in range(rounds):
        for pair in pairs:
            for kind in KINDS:
                request = build_request(kind, *pair)
                cost = measure(site, pair[0], request, seconds / rounds)
                least[pair, kind] = min(cost, least.get((pair, kind), cost))
    return {pair: _read_cost([least[pair, kind] for kind in KINDS]) for pair in pairs}


def _read_cost(figures: list[float]) -> Cost:
    call, stream, long_stream, agent = figures
    return Cost(call, (long_stream - stream) / (LONG_CHUNKS - CHUNKS), agent)


def settings_for(upstream: str) -> dict[str, Any]:
    providers = {
        wire: {"DIALECT": dialect, "BASE_URL": upstream, "API_KEY": "k"}
        for wire, dialect in WIRES.items()
    }
    models = {
        f"{wire}{length}": {"TARGETS": [{"PROVIDER": wire, "MODEL": f"mock{length}"}]}
        for wire in WIRES
        for length in ("", "-long")
    }
    return {
        "PROVIDERS": providers,
        "MODELS": models,
        "THROTTLE_RATES": {"caller": "10000000/m"},
    }


def report(name: str, cost: Cost, base: Cost) -> None:
    print(
        f"{name:24}{cost.call:>8.0f} µs {cost.call / base.call:>5.2f}"
        f"{cost.chunk:>9.2f} µs {cost.chunk / base.chunk:>5.2f}{cost.agent:>9.0f} µs",
        flush=True,
    )


def compare(site: Site, apis: list[str], seconds: float, rounds: int) -> None:
    first = ("chat", "chat")
    pairs = [first, *((api, wire) for api in apis for wire in WIRES if (api, wire) != first)]
    costs = measure_all(site, pairs, seconds, rounds)
    print(f"{'API -> wire':24}{'call':>11} ratio{'chunk':>11} ratio{'115 KB':>11}")
    for api, wire in pairs:
        report(f"{api} -> {wire}", costs[api, wire], costs[first])
    print(
        f"limits: same wire {CALL_LIMIT} and {CHUNK_LIMIT} of it; translated "
        f"{TRANSLATED_CALL_LIMIT} of it and {TRANSLATED_CHUNK_LIMIT:.0f} µs a chunk; "
        f"115 KB {AGENT_LIMIT:.0f} µs"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0, help="for each figure")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--apis", nargs="+", default=list(WIRES), choices=list(WIRES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, mock_provider() as upstream:
        folder = Path(name)
        template = folder / "template"
        template.mkdir()
        key = make_template(template)
        settings = settings_for(upstream)
        with running_site("uvicorn", folder, template, key, settings, LOG_LEVEL="WARNING") as site:
            pin_to_first_core(site.process)
            compare(site, arguments.apis, arguments.seconds, arguments.rounds)


if __name__ == "__main__":
    main()
