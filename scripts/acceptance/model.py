"""The model behind the scripted providers: that of the client tests, which can also run a command
with the tool of a coding agent."""

from __future__ import annotations

from typing import Any, Final

from tests.clients import model as weather
from tests.clients.model import Call, ModelInput, ModelOutput

ECHO: Final = "Run echo hi"
AGAIN: Final = "What did it print again?"
PRINTED: Final = "The command printed: hi"
REPEATED: Final = "As I said, it printed: hi"

SHELL_TOOLS: Final[dict[str, dict[str, Any]]] = {
    "exec_command": {"cmd": "echo hi"},
    "shell_command": {"command": "echo hi"},
    "shell": {"command": ["echo", "hi"]},
    "Bash": {"command": "echo hi", "description": "Print hi"},
}
"""Tools of coding agents that run a command -> the arguments to run `echo hi`."""


def generate(model_input: ModelInput) -> ModelOutput:
    """The answer, which can only be right if the earlier turns reached the model whole."""
    last = model_input.turns[-1]
    if AGAIN in last.text:
        said_it = PRINTED in weather.join_model_text(model_input)
        return ModelOutput(REPEATED if said_it else "Print what?", thought="They ask again.")
    if last.results and is_shell_call(model_input, last.results[-1].call_id):
        ran = "hi" in last.results[-1].text
        return ModelOutput(PRINTED if ran else "It failed.", thought="The command has run.")
    if ECHO in last.text:
        return run_command(model_input)
    return weather.generate(model_input)


def is_shell_call(model_input: ModelInput, call_id: str) -> bool:
    calls = {call.id: call for turn in model_input.turns for call in turn.calls}
    return calls[call_id].name in SHELL_TOOLS


def run_command(model_input: ModelInput) -> ModelOutput:
    names = [name for name in SHELL_TOOLS if name in model_input.tools]
    if not names:
        return ModelOutput("There is no tool that runs commands.")
    call = Call(names[0], SHELL_TOOLS[names[0]])
    return ModelOutput("I run it. ", (call,), "A command: one call.")
