"""SDKs and frameworks: each runs a program of `scripts/acceptance/programs` in several steps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from scripts.acceptance.cases import (
    CHAT,
    MESSAGES,
    RESPONSES,
    THROTTLED,
    Case,
    Finished,
    Stage,
)
from scripts.acceptance.upstreams import COUNTED
from scripts.acceptance.wires import WIRES
from tests.clients import model as weather

PROGRAMS: Final = Path(__file__).resolve().parent.parent / "programs"
COUNTING_WIRES: Final = frozenset({"anthropic", "gemini", "openai_responses"})
"""Wires that count a prompt's tokens beforehand."""


VENDORS_MODELS: Final = {CHAT: "gpt-5", RESPONSES: "gpt-5", MESSAGES: "claude-sonnet-4-5"}
"""Endpoint -> a model that its vendor's clients know, and know that it reasons. The site's names
begin with it, since some clients take `provider/model` for something else."""


class Program(NamedTuple):
    client: str
    scenario: str
    file: str
    api: str
    keeps_responses: bool = False


PROGRAM_LIST: Final = (
    Program("Agents SDK", "Responses", "agents_sdk.py", RESPONSES),
    Program("Agents SDK", "kept responses", "agents_sdk.py", RESPONSES, keeps_responses=True),
    Program("AI SDK", "Responses", "ai_sdk.mjs", RESPONSES),
    Program("AI SDK", "kept responses", "ai_sdk.mjs", RESPONSES, keeps_responses=True),
    Program("AI SDK", "Messages", "ai_sdk.mjs", MESSAGES),
    Program("anthropic SDK", "Messages", "anthropic_sdk.py", MESSAGES),
    Program("LangChain", "Responses", "langchain_models.py", RESPONSES),
    Program("LangChain", "Messages", "langchain_models.py", MESSAGES),
    Program("openai SDK", "Responses", "openai_sdk.py", RESPONSES),
    Program("openai SDK", "kept responses", "openai_sdk.py", RESPONSES, keeps_responses=True),
    Program("openai SDK", "Chat Completions", "openai_chat.py", CHAT),
    Program("pydantic-ai", "Responses", "pydantic_ai_models.py", RESPONSES),
    Program("pydantic-ai", "Messages", "pydantic_ai_models.py", MESSAGES),
)


def cases() -> Iterator[Case]:
    for client, scenario, file, api, keeps_responses in PROGRAM_LIST:
        run = run_node if file.endswith(".mjs") else run_python
        for wire in WIRES:
            playing = partial(play, run, file, api)
            program = Path(file).stem.replace("_", "-")
            route = f"{VENDORS_MODELS[api]}-for-{program}-on-{wire}"
            yield Case(client, scenario, wire, playing, route, keeps_responses=keeps_responses)


def play(run: Callable[..., Finished], program: str, endpoint: str, stage: Stage) -> None:
    finished = run(stage, program, build_setup(stage, endpoint))
    lines = [json.loads(line) for line in finished.output.splitlines() if line.startswith("{")]
    failed = [f"{line['step']}: {line['error']}" for line in lines if "error" in line]
    stage.check(not failed, "\n".join([*failed, *map(str, stage.provider.refusals)]))
    stage.check(lines and finished.code == 0, f"It failed: {finished}")
    stage.said += [f"{line['step']}: {line['said']}" for line in lines]
    stage.check_provider()
    stage.check_thoughts(lambda turn: weather.THANKS in turn.text)
    stage.check_records(endpoint)


def run_python(stage: Stage, program: str, setup: dict[str, Any]) -> Finished:
    own = {"OPENAI_BASE_URL": setup["base_url"], "OPENAI_API_KEY": setup["key"]}
    command = [stage.clients.python, PROGRAMS / program]
    return stage.run(command, ACCEPTANCE=json.dumps(setup), **own)


def run_node(stage: Stage, program: str, setup: dict[str, Any]) -> Finished:
    """Node looks for packages in the folders above the program."""
    folder = stage.clients.node_modules.parent / stage.case.name
    folder.mkdir(exist_ok=True)
    copied = shutil.copy(PROGRAMS / program, folder)
    own = {"AI_SDK_LOG_WARNINGS": "false"}
    return stage.run(["node", copied], ACCEPTANCE=json.dumps(setup), **own)


def build_setup(stage: Stage, endpoint: str) -> dict[str, Any]:
    """What a program needs to know."""
    wire = stage.case.wire
    return {
        "root": stage.gateway.url,
        "base_url": stage.base_url,
        "key": stage.key,
        "throttled_key": stage.gateway.keys[THROTTLED],
        "model": stage.model,
        "embedding_model": f"{stage.case.name}/embedder" if wire == "openai" else "",
        "api": endpoint,
        "keeps_responses": stage.case.keeps_responses,
        "counted": COUNTED if wire in COUNTING_WIRES else 0,
        "system": weather.SYSTEM,
        "compare": weather.COMPARE,
        "thanks": weather.THANKS,
        "report_on": weather.REPORT_ON,
        "degrees": weather.DEGREES,
        "conclusion": weather.CONCLUSION,
        "goodbye": weather.GOODBYE,
        "report": weather.REPORT,
    }
