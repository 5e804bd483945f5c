"""Claude Code, through Messages. https://code.claude.com/docs/en/llm-gateway and
https://code.claude.com/docs/en/env-vars (read 2026-11)"""

from __future__ import annotations

from collections.abc import Iterator

from scripts.acceptance.cases import MESSAGES, POOR, Case, Finished, Stage
from scripts.acceptance.model import ECHO, PRINTED
from scripts.acceptance.wires import WIRES

SETTINGS = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}
CHANGING_LINE = b"x-anthropic-billing-header"


def cases() -> Iterator[Case]:
    for wire in WIRES:
        yield Case("Claude Code", "tool call", wire, use_tool)
        yield Case("Claude Code", "broken stream", wire, meet_broken_stream, breaks_streams=True)
    yield Case("Claude Code", "API key", "anthropic", use_api_key)
    yield Case(
        "Claude Code",
        "its own model",
        "anthropic",
        use_own_model,
        route="claude-opus-*",
        provider_model="claude-opus-4-7",
    )
    yield Case("Claude Code", "haiku", "openai", use_haiku, route="claude-*haiku*")
    yield Case("Claude Code", "spent budget", "anthropic", meet_spent_budget, user=POOR)


def run(stage: Stage, *options: str, **environment: str) -> Finished:
    claude = str(stage.clients.command("claude"))
    command = [claude, "-p", ECHO, "--allowedTools", "Bash(echo:*)", *options]
    return stage.run(command, ANTHROPIC_BASE_URL=stage.gateway.url, **SETTINGS, **environment)


def run_with_token(stage: Stage) -> Finished:
    return run(stage, ANTHROPIC_AUTH_TOKEN=stage.key, ANTHROPIC_MODEL=stage.model)


def use_tool(stage: Stage) -> None:
    check_answer(stage, run_with_token(stage))


def use_api_key(stage: Stage) -> None:
    check_answer(stage, run(stage, ANTHROPIC_API_KEY=stage.key, ANTHROPIC_MODEL=stage.model))


def use_own_model(stage: Stage) -> None:
    check_answer(stage, run(stage, ANTHROPIC_AUTH_TOKEN=stage.key))
    stage.said.append(f"It asked for {stage.records[0]['model']}.")


def use_haiku(stage: Stage) -> None:
    check_answer(stage, run(stage, "--model", "haiku", ANTHROPIC_AUTH_TOKEN=stage.key))
    stage.said.append(f"It asked for {stage.records[0]['model']}.")


def check_answer(stage: Stage, finished: Finished) -> None:
    stage.check(finished.code == 0, f"It failed: {finished}")
    stage.check_text(finished, PRINTED)
    stage.check_provider()
    stage.check_thoughts(lambda turn: turn.results)
    check_system(stage)
    stage.check_records(MESSAGES)


def check_system(stage: Stage) -> None:
    """The line of the system prompt that changes with each request reaches Anthropic only."""
    sent = [received for received in stage.provider.received if CHANGING_LINE in received.raw]
    expected = stage.provider.received if stage.case.wire == "anthropic" else []
    stage.check(sent == expected, f"The changing line went on in {len(sent)} requests.")


def meet_broken_stream(stage: Stage) -> None:
    """It asks again without a stream; each attempt has one record."""
    finished = run_with_token(stage)
    stage.check(finished.code == 0, f"It failed: {finished}")
    stage.check_text(finished, PRINTED)
    stage.check_provider()
    broken = sum(model_input.stream for model_input in stage.provider.inputs)
    whole = len(stage.provider.inputs) - broken
    stage.check(broken and whole, f"It asked {broken} times with a stream, {whole} times without.")
    stage.check_records(MESSAGES, {"upstream_error": broken, "ok": whole})


def meet_spent_budget(stage: Stage) -> None:
    """The message is shown, as of every 402."""
    finished = run_with_token(stage)
    stage.check_text(finished, "402")
    stage.check("budget" in stage.said[0], f"The message does not name the budget: {finished}")
    stage.check_refused(MESSAGES)
