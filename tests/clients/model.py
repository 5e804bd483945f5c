"""The model behind every scripted wire: its input and its output, without any wire.

It plays one script. Asked to compare two cities, it looks up both at once, calls another tool for
the difference, and reports it. Its answer can only be right if every earlier turn reached it whole:
it reads the numbers from the results of its own calls.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

SYSTEM = "You report on the weather."
COMPARE = "Compare Oslo and Rome."
REPORT_ON = "Report on Oslo."
THANKS = "Thanks!"

DEGREES = {"Oslo": -3, "Rome": 15}
CONCLUSION = "Rome is 18 degrees warmer than Oslo — ☀️."
GOODBYE = "You are welcome. Ask me again any time."
REPORT = {"city": "Oslo", "celsius": -3, "notes": ["windy", "clear – “cold”"]}


class Report(BaseModel):
    """A report on the weather in one city."""

    city: str
    celsius: int
    notes: list[str]


ANY_TOOL = "*"
"""Any tool: the model must call one of them."""


@dataclass(frozen=True)
class Call:
    """A call of a tool. `id` is empty if the wire assigns it."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


@dataclass(frozen=True)
class Result:
    call_id: str
    text: str


@dataclass
class Turn:
    """One turn of the conversation. `thoughts` are those that came back with it, checked by the
    wire."""

    role: str
    text: str = ""
    calls: list[Call] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)


@dataclass
class ModelInput:
    """What a request asks of the model. `must_call` is a tool's name or ANY_TOOL. `schema` is that
    of the answer, None for plain text. `api` names the one of several that a wire has."""

    turns: list[Turn]
    system: str = ""
    tools: dict[str, Any] = field(default_factory=dict)
    must_call: str = ""
    schema: dict[str, Any] | None = None
    wants_thinking: bool = False
    stream: bool = False
    api: str = ""


@dataclass(frozen=True)
class ModelOutput:
    text: str = ""
    calls: tuple[Call, ...] = ()
    thought: str = ""


def generate(model_input: ModelInput) -> ModelOutput:
    last = model_input.turns[-1]
    if last.results:
        return continue_after_results(model_input)
    if COMPARE in last.text:
        cities = re.findall("Oslo|Rome", last.text)
        calls = tuple(Call("weather", {"city": city}) for city in cities)
        return ModelOutput("Let me look – ", calls, "Two cities: two calls. ☁️")
    if THANKS in last.text:
        return ModelOutput(
            GOODBYE if CONCLUSION in join_model_text(model_input) else "What for?",
            thought="They are polite.",
        )
    return build_report(model_input)


def build_report(model_input: ModelInput) -> ModelOutput:
    """The report as a call, if a tool must be called or is there for it, else as text."""
    if model_input.must_call not in ("", ANY_TOOL):
        return ModelOutput(calls=(Call(model_input.must_call, REPORT),), thought="It is known.")
    by_tool = next(
        (name for name in model_input.tools if name not in ("weather", "difference")), ""
    )
    if model_input.schema is None and by_tool:
        return ModelOutput(calls=(Call(by_tool, REPORT),), thought="It is known.")
    return ModelOutput(json.dumps(REPORT, ensure_ascii=False), thought="It is known.")


def continue_after_results(model_input: ModelInput) -> ModelOutput:
    """Read the results by the calls that they belong to."""
    calls = {call.id: call for turn in model_input.turns for call in turn.calls}
    results = [(calls[result.call_id], result.text) for result in model_input.turns[-1].results]
    numbers = {
        call.arguments.get("city"): int(re.findall(r"-?\d+", text)[0]) for call, text in results
    }
    if {call.name for call, _ in results} == {"weather"}:
        difference = Call("difference", {"warmer": numbers["Rome"], "colder": numbers["Oslo"]})
        return ModelOutput(calls=(difference,), thought="Now the difference.")
    if results[0][0].name == "difference":
        return ModelOutput(CONCLUSION.replace("18", str(numbers[None])), thought="That is all.")
    return ModelOutput("Noted.")


def join_model_text(model_input: ModelInput) -> str:
    return "\n".join(turn.text for turn in model_input.turns if turn.role == "model")
