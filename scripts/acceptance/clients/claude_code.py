"""Claude Code, through Messages. https://code.claude.com/docs/en/llm-gateway and
https://code.claude.com/docs/en/env-vars (read 2026-11)"""

from __future__ import annotations

from collections.abc import Iterator

from scripts.acceptance.cases import MESSAGES, POOR, Case, Finished, Stage
from scripts.acceptance.model import ECHO, PRINTED
from scripts.acceptance.wires import WIRES

QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}


def cases() -> Iterator[Case]:
    for wire in WIRES:
        yield Case("Claude Code", "tool call", wire, use_tool)
        yield Case("Claude Code", "broken stream", wire, meet_broken_stream, breaks_streams=True)
    yield Case("Claude Code", "API key", "anthropic", use_api_key)
    yield Case("Claude Code", "spent budget", "anthropic", meet_spent_budget, user=POOR)


def run(stage: Stage, **environment: str) -> Finished:
    claude = stage.clients.command("claude")
    own = {
        "ANTHROPIC_BASE_URL": stage.gateway.url,
        "ANTHROPIC_MODEL": stage.model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": stage.model,
    }
    options = ["-p", ECHO, "--allowedTools", "Bash(echo:*)"]
    return stage.run([claude, *options], **QUIET, **own, **environment)


def use_tool(stage: Stage) -> None:
    check_answer(stage, run(stage, ANTHROPIC_AUTH_TOKEN=stage.key))


def use_api_key(stage: Stage) -> None:
    check_answer(stage, run(stage, ANTHROPIC_API_KEY=stage.key))


def check_answer(stage: Stage, finished: Finished) -> None:
    stage.check(finished.code == 0, f"It failed: {finished}")
    stage.check_text(finished, PRINTED)
    stage.check_provider()
    stage.check_thoughts(lambda turn: turn.results)
    stage.check_records(MESSAGES)


def meet_broken_stream(stage: Stage) -> None:
    """It asks again without a stream; each attempt has one record."""
    finished = run(stage, ANTHROPIC_AUTH_TOKEN=stage.key)
    stage.check(finished.code == 0, f"It failed: {finished}")
    stage.check_text(finished, PRINTED)
    stage.check_provider()
    broken = sum(model_input.stream for model_input in stage.provider.inputs)
    whole = len(stage.provider.inputs) - broken
    stage.check(broken and whole, f"It asked {broken} times with a stream, {whole} times without.")
    stage.check_records(MESSAGES, {"upstream_error": broken, "ok": whole})


def meet_spent_budget(stage: Stage) -> None:
    """The message is shown, as of every 402."""
    finished = run(stage, ANTHROPIC_AUTH_TOKEN=stage.key)
    stage.check_text(finished, "402")
    stage.check_text(finished, "budget")
    stage.check_refused(MESSAGES)
