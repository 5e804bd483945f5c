"""How much models reason, and where their reasoning goes back: what each dialect makes of the table
of what models refuse or need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from native_api.dialects import DIALECTS
from native_api.types import Json, Provider, Target
from tests.cases import each, for_each
from tests.dialects.model_requests import HELLO, TOOL, ask, tool_step

# --- function tools beside an effort -------------------------------------------------------------


@each("host", ["openai", "azure", "azure-deployments", "github", ""])
def test_gpt_5_4_takes_no_effort_beside_function_tools(host: str) -> None:
    for model in ("gpt-5.4", "gpt-5.5", "openai/gpt-5.4-mini"):
        request = ask(host, model, tools=[TOOL], reasoning_effort="low")
        assert "reasoning_effort" not in request.body
        assert request.omitted == ("reasoning_effort",)
    assert ask(host, "gpt-5.4", reasoning_effort="low").body["reasoning_effort"] == "low"


@each("host", ["openai", "azure", "github", ""])
def test_gpt_5_6_needs_an_effort_of_none_beside_function_tools(host: str) -> None:
    for effort in (None, "high"):
        for model in ("gpt-5.6-terra", "gpt-6-luna"):
            request = ask(host, model, tools=[TOOL], reasoning_effort=effort, temperature=0.5)
            assert request.body["reasoning_effort"] == "none"
            assert request.body["temperature"] == 0.5  # it does not reason
            assert request.omitted == ("reasoning_effort",)
    assert ask(host, "gpt-5.6", tools=[TOOL], reasoning_effort="none").omitted == ()


@each("host, dialect", [("openrouter", ""), ("vercel", ""), ("openai", "openai_responses")])
def test_where_the_responses_api_answers_both_are_taken(host: str, dialect: str) -> None:
    for model in ("gpt-5.4", "gpt-5.6-terra"):
        body = ask(host, model, dialect=dialect, tools=[TOOL], reasoning_effort="low").body
        assert (body.get("reasoning_effort") or body["reasoning"]["effort"]) == "low"


# --- reasoning that goes back --------------------------------------------------------------------

HOSTS: dict[str, str] = {
    "deepseek": "reasoning_content",
    "moonshot": "reasoning_content",
    "zai": "reasoning_content",
    "qwen": "reasoning_content",
    "fireworks": "reasoning_content",
    "novita": "reasoning_content",
    "siliconflow": "reasoning_content",
    "together": "reasoning_content",
    "nvidia": "reasoning_content",
    "huggingface": "reasoning_content",
    "deepinfra": "reasoning_content",
    "baseten": "reasoning_content",
    "nebius": "reasoning_content",
    "azure": "reasoning_content",
    "vercel": "reasoning_content",
    "sglang": "reasoning_content",
    "llamacpp": "reasoning_content",
    "": "reasoning_content",
    "vllm": "reasoning",
    "groq": "reasoning",
    "cerebras": "reasoning",
    "openrouter": "reasoning",
}
"""Preset -> where it takes the reasoning of earlier turns."""

MODELS_WITH_REASONING = (
    "XiaomiMiMo/MiMo-V2.5-Pro",
    "deepseek-v4-pro",
    "deepseek-ai/DeepSeek-V3.2",
    "deepseek/deepseek-v4.1-flash",
    "accounts/fireworks/models/kimi-k2p5",
    "moonshotai/Kimi-K2-Thinking",
    "kimi-k2.6",
    "zai-org/GLM-4.6",
    "z-ai/glm5",
    "MiniMaxAI/MiniMax-M2.1",
    "Qwen/Qwen3-235B-A22B-Thinking-2507",
    "qwen3:32b",
)


def hosts_and_models() -> Iterator[tuple[str, Any]]:
    for host, field in HOSTS.items():
        for model in MODELS_WITH_REASONING:
            yield f"{host}/{model}", (host, model, field)


@for_each(hosts_and_models)
def test_reasoning_goes_back_whoever_hosts_the_model(case: tuple[str, str, str]) -> None:
    host, model, field = case
    request = ask(host, model, messages=tool_step(reasoning_content="think"), tools=[TOOL])
    assert request.body["messages"][1][field] == "think"
    assert request.omitted == ()


@each("model", ["gpt-4o", "Llama-3.3-70B", "deepseek-ai/DeepSeek-R1", "qwen3-coder-480b"])
def test_reasoning_does_not_go_to_models_that_do_not_take_it(model: str) -> None:
    body = ask("together", model, messages=tool_step(reasoning_content="think")).body
    assert not {"reasoning", "reasoning_content"} & body["messages"][1].keys()


@each("base_url", ["http://127.0.0.1:11434/v1", "http://ollama.lan:11434/v1"])
def test_ollamas_openai_api_calls_it_reasoning(base_url: str) -> None:
    target = Target(Provider("local", "openai", base_url), "deepseek-v4-pro:cloud")
    chat: Any = {"model": "x", "messages": tool_step(reasoning_content="think")}
    assert DIALECTS["openai"].request(chat, target).body["messages"][1]["reasoning"] == "think"


def test_ollamas_own_api_calls_it_thinking() -> None:
    body = ask("ollama", "qwen3:32b", messages=tool_step(reasoning_content="think")).body
    assert body["messages"][1]["thinking"] == "think"


SWITCHED_OFF: dict[str, Json] = {
    "deepseek": {"thinking": {"type": "disabled"}},
    "moonshot": {"thinking": {"type": "disabled"}},
    "qwen": {"enable_thinking": False},
    "together": {"reasoning": {"enabled": False}},
    "vllm": {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
    "sglang": {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
    "nvidia": {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
    "fireworks": {"reasoning_effort": "none"},
    "azure": {"reasoning_effort": "none"},
    "openrouter": {"reasoning_effort": "none"},
    "": {"thinking": {"type": "disabled"}},
}
"""Preset -> how reasoning is turned off there."""


def lost_cases() -> Iterator[tuple[str, Any]]:
    for host, switch in SWITCHED_OFF.items():
        for model in ("deepseek-v4-pro", "kimi-k2.6"):
            for effort in (None, "high"):
                yield f"{host}/{model} {effort}", (host, model, effort, switch)


@for_each(lost_cases)
def test_a_step_whose_reasoning_is_lost_goes_on_without(case: Any) -> None:
    host, model, effort, switch = case
    messages = [*tool_step(), {"role": "assistant", "content": "b"}, *HELLO]
    request = ask(host, model, messages=messages, tools=[TOOL], reasoning_effort=effort)
    assert not {"reasoning", "reasoning_content"} & request.body["messages"][1].keys()
    assert {name: request.body.get(name) for name in switch} == switch
    assert request.omitted == ("reasoning_effort",)


def test_an_empty_text_counts_only_where_the_model_takes_it() -> None:
    messages = tool_step(reasoning_content="")
    kept = ask("deepseek", "deepseek-reasoner", messages=messages).body
    assert kept["messages"][1]["reasoning_content"] == ""
    assert "thinking" not in kept
    lost = ask("deepseek", "deepseek-v4-pro", messages=messages).body
    assert "reasoning_content" not in lost["messages"][1]
    assert lost["thinking"] == {"type": "disabled"}


@each("host", ["moonshot", "novita", ""])
def test_a_model_that_cannot_stop_to_reason_gets_a_placeholder(host: str) -> None:
    request = ask(host, "kimi-k2-thinking", messages=tool_step(), tools=[TOOL])
    assert request.body["messages"][1]["reasoning_content"] == " "
    assert request.omitted == ()


@each("model", ["glm-4.6", "minimax-m2", "qwen3-max"])
def test_models_that_go_on_without_lost_reasoning_keep_thinking(model: str) -> None:
    request = ask("novita", model, messages=tool_step(), tools=[TOOL], reasoning_effort="high")
    assert request.body["reasoning_effort"] == "high"
    assert request.omitted == ()


@each("forced", [False, True])
def test_deepseek_on_the_messages_wire_goes_on_without_thinking(forced: bool) -> None:
    choice: Json = {"type": "function", "function": {"name": "f"}} if forced else {}
    fields = {"tool_choice": choice} if forced else {"messages": tool_step()}
    request = ask("", "deepseek-v4-pro", dialect="anthropic", tools=[TOOL], **fields)
    assert request.body["thinking"] == {"type": "disabled"}
    assert request.omitted == ("reasoning_effort",)


def test_a_preset_names_the_switch_of_some_models() -> None:
    request = ask("siliconflow", "deepseek-ai/DeepSeek-V4-Pro", messages=tool_step())
    assert request.body["enable_thinking"] is False
    assert "reasoning_effort" not in request.body


# --- complete replies without thinking -----------------------------------------------------------


@each("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_dashscope_forces_no_call_of_a_thinking_model(choice: Any) -> None:
    for fields in ({}, {"reasoning_effort": "high"}):
        body = ask("qwen", "qwen3.8-max", tools=[TOOL], tool_choice=choice, **fields).body
        assert body["enable_thinking"] is False
    assert "enable_thinking" not in ask("qwen", "qwen3.8-max", tools=[TOOL]).body
    plain = ask("qwen", "qwen-plus", tools=[TOOL], tool_choice=choice).body
    assert "enable_thinking" not in plain


@each("model", ["qwen3-32b", "qwen3-235b-a22b", "qwen3-0.6b"])
def test_open_qwen3_models_think_only_in_streams(model: str) -> None:
    assert ask("qwen", model).body["enable_thinking"] is False
    assert ask("qwen", model).omitted == ()
    request = ask("qwen", model, reasoning_effort="high")
    assert (request.body["enable_thinking"], request.omitted) == (False, ("reasoning_effort",))
    assert "enable_thinking" not in ask("qwen", model, stream=True).body
    assert ask("qwen", model, stream=True, reasoning_effort="low").body["enable_thinking"] is True


def test_a_switch_of_the_clients_own_is_obeyed_or_reported() -> None:
    off = ask("deepseek", "deepseek-v4-pro", messages=tool_step(), thinking={"type": "disabled"})
    assert (off.body["thinking"], off.omitted) == ({"type": "disabled"}, ())
    on = ask("deepseek", "deepseek-v4-pro", messages=tool_step(), thinking={"type": "enabled"})
    assert (on.body["thinking"], on.omitted) == ({"type": "disabled"}, ("reasoning_effort",))
    complete = ask("qwen", "qwen3-32b", enable_thinking=True)
    assert (complete.body["enable_thinking"], complete.omitted) == (False, ("enable_thinking",))


@each("host, model", [("qwen", "qwen3-max"), ("qwen", "qwen3-32b-instruct"), ("vllm", "qwen3-32b")])
def test_other_models_think_in_complete_replies(host: str, model: str) -> None:
    assert not {"enable_thinking", "chat_template_kwargs"} & ask(host, model).body.keys()
