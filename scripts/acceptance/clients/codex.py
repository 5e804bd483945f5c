"""Codex CLI, through Responses.

Its settings: https://developers.openai.com/codex/config-reference (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator

from scripts.acceptance.cases import POOR, RESPONSES, Case, Finished, Stage
from scripts.acceptance.model import AGAIN, ECHO, PRINTED, REPEATED
from scripts.acceptance.wires import WIRES

CONFIG = """
model = "{model}"
model_provider = "native"
model_reasoning_effort = "low"
model_reasoning_summary = "auto"
check_for_update_on_startup = false

[model_providers.native]
name = "native"
base_url = "{base_url}"
env_key = "NATIVE_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false

[features]
plugins = false
"""


def cases() -> Iterator[Case]:
    for wire in WIRES:
        yield Case("Codex", "tool call and resume", wire, use_tool_and_resume)
        yield Case("Codex", "broken stream", wire, meet_broken_stream, breaks_streams=True)
    yield Case("Codex", "spent budget", "openai", meet_spent_budget, user=POOR)


def run(stage: Stage, *arguments: str) -> Finished:
    home = stage.folder / ".codex"
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(CONFIG.format(model=stage.model, base_url=stage.base_url))
    codex = stage.clients.command("codex")
    options = ["--skip-git-repo-check", "-s", "read-only"]
    return stage.run(
        [codex, "exec", *options, *arguments], CODEX_HOME=str(home), NATIVE_KEY=stage.key
    )


def use_tool_and_resume(stage: Stage) -> None:
    first = run(stage, ECHO)
    stage.check(first.code == 0, f"It failed: {first}")
    stage.check_text(first, PRINTED)
    second = run(stage, "resume", "--last", AGAIN)
    stage.check(second.code == 0, f"It failed: {second}")
    stage.check_text(second, REPEATED)
    stage.check_provider()
    stage.check_thoughts(lambda turn: AGAIN in turn.text)
    stage.check_records(RESPONSES)


def meet_broken_stream(stage: Stage) -> None:
    """The message of `response.failed` is shown: what the gateway says of the provider."""
    finished = run(stage, ECHO)
    stage.check(finished.code != 0, f"It ended as if nothing had happened: {finished}")
    stage.check_text(finished, "The provider broke off its answer.")
    stage.check_provider()
    stage.check_records(RESPONSES, {"upstream_error": len(stage.provider.inputs)})


def meet_spent_budget(stage: Stage) -> None:
    """The message is shown, as of every 402."""
    finished = run(stage, ECHO)
    stage.check_text(finished, "402 Payment Required")
    stage.check("budget" in stage.said[0], f"The message does not name the budget: {finished}")
    stage.check_refused(RESPONSES)
