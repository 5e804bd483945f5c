"""The model behind every scripted wire: what it was asked, apart from any wire, and what it
answers.

It plays one script. Asked to compare two cities it looks both up at once, takes the difference by
another tool, and says it. What it says can only be right if every earlier turn reached it whole: it
reads the numbers out of the results that belong to its calls.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

SYSTEM = "You report on the weather."
COMPARE = "Compare Oslo and Rome."
REPORT_ON = "Report on Oslo."
THANKS = "Thanks!"

DEGREES = {"Oslo": -3, "Rome": 15}
CONCLUSION = "Rome is 18 degrees warmer than Oslo — ☀️."
GOODBYE = "You are welcome. Ask me again any time."
REPORT = {"city": "Oslo", "celsius": -3, "notes": ["windy", "clear – “cold”"]}

FORCED = "*"
"""Some tool must be called, whichever."""


@dataclass(frozen=True)
class Call:
    """`id` is empty where the wire gives it."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


@dataclass(frozen=True)
class Result:
    call_id: str
    text: str


@dataclass
class Turn:
    """`thoughts` are what came back of earlier thinking, checked by the wire."""

    role: str
    text: str = ""
    calls: list[Call] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)


@dataclass
class Asked:
    """`must_call` names a tool, or is FORCED. `schema` is what the answer's text must be like, None
    for plain text."""

    turns: list[Turn]
    system: str = ""
    tools: dict[str, Any] = field(default_factory=dict)
    must_call: str = ""
    schema: dict[str, Any] | None = None
    thinks: bool = False
    stream: bool = False


@dataclass(frozen=True)
class Answer:
    text: str = ""
    calls: tuple[Call, ...] = ()
    thought: str = ""


def answer(asked: Asked) -> Answer:
    last = asked.turns[-1]
    if last.results:
        return after_results(asked)
    if COMPARE in last.text:
        cities = re.findall("Oslo|Rome", last.text)
        calls = tuple(Call("weather", {"city": city}) for city in cities)
        return Answer("Let me look – ", calls, "Two cities: two calls. ☁️")
    if THANKS in last.text:
        return Answer(
            GOODBYE if CONCLUSION in said(asked) else "What for?", thought="They are polite."
        )
    return report(asked)


def report(asked: Asked) -> Answer:
    """The report in the form it is wanted in: by a tool that must be called or is there for it, or
    as the answer's text."""
    if asked.must_call not in ("", FORCED):
        return Answer(calls=(Call(asked.must_call, REPORT),), thought="It is known.")
    by_tool = next((name for name in asked.tools if name not in ("weather", "difference")), "")
    if asked.schema is None and by_tool:
        return Answer(calls=(Call(by_tool, REPORT),), thought="It is known.")
    return Answer(json.dumps(REPORT, ensure_ascii=False), thought="It is known.")


def after_results(asked: Asked) -> Answer:
    """Goes by the calls that the results belong to."""
    calls = {call.id: call for turn in asked.turns for call in turn.calls}
    results = [(calls[result.call_id], result.text) for result in asked.turns[-1].results]
    numbers = {
        call.arguments.get("city"): int(re.findall(r"-?\d+", text)[0]) for call, text in results
    }
    if {call.name for call, _ in results} == {"weather"}:
        difference = Call("difference", {"warmer": numbers["Rome"], "colder": numbers["Oslo"]})
        return Answer(calls=(difference,), thought="Now the difference.")
    if results[0][0].name == "difference":
        return Answer(CONCLUSION.replace("18", str(numbers[None])), thought="That is all.")
    return Answer("Noted.")


def said(asked: Asked) -> str:
    return "\n".join(turn.text for turn in asked.turns if turn.role == "model")
