"""How the vendors of OpenAI's Chat Completions differ from OpenAI. The rows of `presets` refer to
these values by name."""

from __future__ import annotations

from typing import Final

from native_api.types import Quirks
from native_api.types.chat import EXTENSION_FIELDS, REASONING_EXTENSIONS

DEVELOPER_AS_SYSTEM: Final = {"developer": "system"}
"""Most compatible servers do not know the developer role, OpenAI's newer name for system."""

OPENAI_ONLY: Final = frozenset(
    {
        "tools.custom", "tool_choice.allowed_tools", "prompt_cache_retention",
        "prompt_cache_options", "moderation", "messages.prompt_cache_breakpoint",
    }
)  # fmt: skip
"""Features that no other vendor is known to support."""

ACCOUNT_FIELDS: Final = frozenset({"metadata", "safety_identifier", "service_tier", "store"})
AUDIO_FIELDS: Final = frozenset({"audio", "modalities"})
VIDEO_AND_SOUND: Final = frozenset({"messages.video_url", "messages.audio_url"})
"""Parts that vLLM and others have, but not OpenAI."""
SOUND: Final = frozenset({"messages.audio_url"})
LOGPROB_FIELDS: Final = frozenset({"logit_bias", "logprobs", "top_logprobs"})

# --- quirks that several vendors share -----------------------------------------------------------

OPENAI: Final = Quirks(
    max_tokens_field="max_completion_tokens", tool_rules="openai",
    unsupported=EXTENSION_FIELDS | VIDEO_AND_SOUND,
)  # fmt: skip
"""It answers 400, "Unrecognized request argument supplied", to fields that it does not have."""
COMPATIBLE: Final = Quirks(
    max_tokens_field="max_tokens", roles=DEVELOPER_AS_SYSTEM, unsupported=OPENAI_ONLY
)
EITHER_TOKEN_LIMIT: Final = Quirks(roles=DEVELOPER_AS_SYSTEM, unsupported=OPENAI_ONLY)
"""Some of the vendor's models take the output limit under its old name and others under its new
one, so it is sent under the name that the client used."""

REASONING_CONTENT: Final = Quirks(
    max_tokens_field="max_tokens",
    roles=DEVELOPER_AS_SYSTEM,
    unsupported=OPENAI_ONLY,
    reasoning_field="reasoning_content",
)
TEMPLATE_SWITCH: Final = Quirks(
    max_tokens_field="max_tokens",
    roles=DEVELOPER_AS_SYSTEM,
    unsupported=OPENAI_ONLY,
    thinking="chat_template_kwargs",
)
"""The server hands the switch to the model's chat template, whose name for it is one of two."""

# --- quirks of one vendor ------------------------------------------------------------------------

CEREBRAS: Final = Quirks(
    max_tokens_field="max_completion_tokens", roles=DEVELOPER_AS_SYSTEM,
    reasoning_field="reasoning",
    unsupported=OPENAI_ONLY | VIDEO_AND_SOUND | {
        "frequency_penalty", "presence_penalty", "logit_bias", "messages.name",
        *EXTENSION_FIELDS - {"reasoning_format"},
    },
)  # fmt: skip
DEEPSEEK: Final = Quirks(
    max_tokens_field="max_tokens", roles=DEVELOPER_AS_SYSTEM, reasoning_field="reasoning_content",
    thinking="thinking", text_parts=False, tool_rules="deepseek",
    unsupported=OPENAI_ONLY | VIDEO_AND_SOUND | ACCOUNT_FIELDS | AUDIO_FIELDS | {
        "logit_bias", "n", "parallel_tool_calls", "prediction", "prompt_cache_key",
        "response_format.json_schema", "seed", "user", "verbosity", "web_search_options",
        *REASONING_EXTENSIONS - {"thinking"},
    },
)  # fmt: skip
GROQ: Final = Quirks(
    roles=DEVELOPER_AS_SYSTEM, reasoning_field="reasoning",
    unsupported=OPENAI_ONLY | VIDEO_AND_SOUND | LOGPROB_FIELDS | AUDIO_FIELDS | {
        "messages.name", "metadata", "n", "prediction", "prompt_cache_key", "safety_identifier",
        "store", "verbosity", "web_search_options",
        *EXTENSION_FIELDS - {"reasoning_format", "include_reasoning"},
    },
)  # fmt: skip
MISTRAL: Final = Quirks(
    # It answers 422 to unknown fields, and sends usage with the last chunk without being asked.
    max_tokens_field="max_tokens", roles=DEVELOPER_AS_SYSTEM, renamed={"seed": "random_seed"},
    stream_usage=False, reasoning_field="thinking", file_part="document_url", call_id_length=9,
    user_after_tools=False, tool_rules="mistral",
    unsupported=OPENAI_ONLY | VIDEO_AND_SOUND | LOGPROB_FIELDS | AUDIO_FIELDS | {
        "messages.name", "messages.refusal", "safety_identifier", "service_tier", "store", "user",
        "verbosity", "web_search_options", *EXTENSION_FIELDS,
    },
)  # fmt: skip
MOONSHOT: Final = Quirks(
    roles=DEVELOPER_AS_SYSTEM, reasoning_field="reasoning_content", thinking="thinking",
    tool_rules="moonshot",
    unsupported=OPENAI_ONLY | SOUND | LOGPROB_FIELDS | {"tool_choice.required"}
    | (REASONING_EXTENSIONS - {"thinking"}),
)  # fmt: skip
OPENROUTER: Final = Quirks(
    max_tokens_field="max_tokens", reasoning_field="reasoning",
    unsupported=OPENAI_ONLY | SOUND | (REASONING_EXTENSIONS - {"reasoning", "include_reasoning"}),
    extensions=frozenset({
        "reasoning_details", "annotations", "cache_control", "file_url", "images",
    }),
)  # fmt: skip
PERPLEXITY: Final = Quirks(
    max_tokens_field="max_tokens", roles=DEVELOPER_AS_SYSTEM, reasoning_field="think_tags",
    file_part="file_url", stream_usage=False,
    unsupported=OPENAI_ONLY | SOUND | ACCOUNT_FIELDS | LOGPROB_FIELDS | AUDIO_FIELDS | {
        "messages.name", "n", "parallel_tool_calls", "prediction", "prompt_cache_key",
        "response_format.json_object", "seed", "tool_choice", "tools", "user", "verbosity",
        *REASONING_EXTENSIONS,
    },
)  # fmt: skip
QWEN: Final = Quirks(
    max_tokens_field="max_tokens", roles=DEVELOPER_AS_SYSTEM, reasoning_field="reasoning_content",
    thinking="enable_thinking", extensions=frozenset({"cache_control"}),
    unsupported=OPENAI_ONLY | SOUND
    | (REASONING_EXTENSIONS - {"enable_thinking", "thinking_budget"}),
)  # fmt: skip
TOGETHER: Final = Quirks(
    # https://docs.together.ai/docs/reasoning-overview
    max_tokens_field="max_tokens", roles=DEVELOPER_AS_SYSTEM, unsupported=OPENAI_ONLY,
    thinking="reasoning",
)  # fmt: skip
VLLM: Final = Quirks(
    max_tokens_field="max_tokens", roles=DEVELOPER_AS_SYSTEM, unsupported=OPENAI_ONLY,
    reasoning_field="reasoning", thinking="chat_template_kwargs",
)  # fmt: skip
XAI: Final = Quirks(
    roles=DEVELOPER_AS_SYSTEM, reasoning_field="reasoning_content",
    unsupported=OPENAI_ONLY | VIDEO_AND_SOUND | AUDIO_FIELDS | {
        "logit_bias", "metadata", "prediction", "store", "verbosity", *REASONING_EXTENSIONS,
    },
)  # fmt: skip
ZAI: Final = Quirks(
    max_tokens_field="max_tokens", roles=DEVELOPER_AS_SYSTEM, reasoning_field="reasoning_content",
    thinking="thinking", file_part="file_url", renamed={"user": "user_id"},
    unsupported=OPENAI_ONLY | SOUND | ACCOUNT_FIELDS | LOGPROB_FIELDS | AUDIO_FIELDS | {
        "frequency_penalty", "n", "parallel_tool_calls", "prediction", "presence_penalty",
        "prompt_cache_key", "response_format.json_schema", "seed", "tool_choice.function",
        "tool_choice.none", "tool_choice.required", "verbosity", "web_search_options",
        *REASONING_EXTENSIONS - {"thinking"},
    },
)  # fmt: skip
