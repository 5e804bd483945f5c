"""How providers say that a conversation is too long for the model: one list for all dialects. What
follows from it, `context_length_exceeded`, is in `errors`.

Rules:
1. A wording stands here once, whatever the wire: models of one vendor are hosted by many.
2. A row names whose wording it is and where it was seen. The pattern is matched without regard to
   case, anywhere in the message.
3. Limits on tokens per minute, on the length of the answer, on bytes and on the size of images are
   not the context's. A longer context does not help there.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from native_api.types import Json


class Wording(NamedTuple):
    """A regular expression, whose words they are, and where they were seen."""

    pattern: str
    vendors: str
    source: str


CONTEXT_LENGTH_CODES: Final = frozenset(
    {
        "context_length_exceeded",  # OpenAI, Groq, Azure
        "context_window_exceeded",
        "model_context_window_exceeded",  # Anthropic's stop reason, as an error at Z.ai
        "exceed_context_size_error",  # llama.cpp's `type`, tools/server/server-common.cpp
        "tokens_limit_reached",  # GitHub Models
        "model_max_prompt_tokens_exceeded",  # GitHub Copilot
        "1261",  # Z.ai, https://docs.z.ai/api-reference/api-code (2026-11)
        "OutofContextError",  # Volcengine Ark
        "token_quantity_exceeded",  # watsonx
    }
)
"""Values of `code` or `type` that say it without words."""

PI: Final = "github.com/earendil-works/pi, packages/ai/src/utils/overflow.ts (2026-11)"
LITELLM: Final = "github.com/BerriAI/litellm, exception_mapping_utils.py (2026-11)"

WORDINGS: Final = (
    Wording(
        r"(maximum|max) context (length|limit|size)",
        "OpenAI, Azure, DeepSeek, vLLM, OpenRouter, Mistral, Fireworks, Cloudflare, Ollama",
        "github.com/openai/codex/issues/11071, github.com/0xku/kon/issues/91 (2026-06)",
    ),
    Wording(
        r"exceed(s|ed)?( the| this)?( model'?s?)?( available)? "
        r"context[ _](window|length|limit|size)",
        "OpenAI Responses, Anthropic, llama.cpp, Ollama, LM Studio, llama-cpp-python",
        "github.com/anthropics/claude-code/issues/476 (2025-03); " + PI,
    ),
    Wording(
        r"context[ _](window|length|size|limit)( is| has been| was)?[ _]exceed(s|ed)",
        "MiniMax (context window exceeds limit), llama.cpp, Z.ai",
        PI,
    ),
    Wording(
        r"(prompt|input|context|conversation)( token)?( length)?( is)? too long",
        "Anthropic, Vertex, Bedrock, Moonshot, vLLM, Z.ai, Ollama, Gemini (input context)",
        "github.com/aws-samples/bedrock-chat/issues/95 (2023-12); " + PI,
    ),
    Wording(
        r"prompt \(.{0,40}\) is too long to fit|prompt (is )?too large for this model",
        "vLLM",
        "github.com/vllm-project/vllm/issues/12165 (2025-01)",
    ),
    Wording(
        r"(longer|greater) than the (maximum model|model'?s (maximum )?context|context) length",
        "vLLM, SGLang, Together, LM Studio",
        PI + "; github.com/NVIDIA-NeMo/Switchyard/pull/314",
    ),
    Wording(
        r"context length (is|of) only \d",
        "vLLM, LM Studio",
        "github.com/proxysoul/Empryo/issues/52 (2026-04), "
        "github.com/lmstudio-ai/lmstudio-bug-tracker/issues/546 (2025-03)",
    ),
    Wording(
        r"n_keep: ?\d+ ?>= ?n_ctx",
        "LM Studio, llama.cpp",
        PI,
    ),
    Wording(
        r"maximum prompt length (is|of) \d",
        "xAI",
        PI,
    ),
    Wording(
        r"exceed(s|ed)? (the )?(model('?s)? )?(max(imum)? )?(input )?token limit"
        r"|token length of .{0,40} exceed",
        "Moonshot (exceeded model token limit), Bedrock (exceeds the max input token limit)",
        "github.com/earendil-works/pi/issues/4943; " + PI,
    ),
    Wording(
        r"`?inputs`? tokens \+ `?max_new_tokens`? must be"
        r"|`?inputs`? must have less than \d+ tokens",
        "Text Generation Inference: Hugging Face, Together",
        "github.com/huggingface/llm-vscode/issues/94 (2023-10); " + LITELLM,
    ),
    Wording(
        r"(prompt|input|request)( length)?( \(?\d+\)?)? exceeds? (the )?(max|maximum)( allowed)?"
        r"( input| prompt)? length",
        "Z.ai (Prompt exceeds max length), NVIDIA, Poolside, TensorRT-LLM",
        "github.com/CommandCodeAI/command-code/issues/652 (2026-08)",
    ),
    Wording(
        r"range of input length should be",
        "Alibaba (DashScope)",
        "https://www.alibabacloud.com/help/en/model-studio/error-code (2026-11)",
    ),
    Wording(
        r"prompt 超长|输入长度超过|超出上下文",
        "Z.ai and other Chinese hosts",
        "https://docs.bigmodel.cn/cn/api/api-code (2026-11)",
    ),
    Wording(
        r"maximum input length (is|of) \d+ tokens",
        "OpenAI embeddings, vLLM",
        "github.com/proxysoul/Empryo/issues/52 (2026-04)",
    ),
    Wording(
        r"(request|request body) too large for .{1,80} model\. max size: \d+ tokens",
        "GitHub Models",
        "github.com/openclaw/openclaw/issues/58839",
    ),
    Wording(
        r"(input|prompt) token count.{0,40} (exceeds|but (the )?model only supports)"
        r"|exceeds the maximum number of tokens",
        "Gemini, Vertex, GitHub Copilot (exceeds the limit of)",
        "github.com/google-gemini/gemini-cli/issues/6678 (2025-08) and 19727 (2026-02); " + PI,
    ),
    Wording(
        r"reduce the length of the (messages|prompt|input|conversation)"
        r"|current length is \d+ while limit is \d+",
        "Groq, DeepSeek, vLLM, Cerebras",
        "github.com/cline/cline/issues/5140 (2025-07); " + LITELLM,
    ),
    Wording(
        r"input tokens exceed|too many input tokens|too many total text bytes"
        r"|expected maxlength: \d+, actual: \d+",
        "OpenAI (exceed the configured limit), Bedrock",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/"
        "troubleshooting-api-error-codes.html (2026-11); " + LITELLM,
    ),
    Wording(
        r"number of input tokens.{0,20} cannot exceed",
        "watsonx",
        "github.com/agno-agi/agno, tests of CONTEXT_WINDOW_PATTERNS (2026-11)",
    ),
    Wording(
        r"total tokens( of image and text)? exceed max message tokens",
        "Volcengine Ark (Doubao)",
        "https://www.volcengine.com/docs/82379/1299023 (2026-11)",
    ),
    Wording(
        r"(input|prompt) (\(\d+ tokens\) )?is too large to process",
        "llama.cpp's embeddings",
        "github.com/ggml-org/llama.cpp, tools/server (2026-11)",
    ),
    Wording(
        r"too many tokens: (?!max tokens)",
        "Cohere",
        "https://docs.cohere.com/reference/errors (2026-11)",
    ),
)

OTHER_LIMITS: Final = re.compile(
    r"rate[ _-]?limit|too many requests|quota|please wait"
    r"|\bper[ _-](second|minute|min|hour|day)\b|\b[tr]p[smd]\b",
    re.IGNORECASE,
)
"""Limits on use over time, which some providers word almost like the context's: Bedrock's "Too many
tokens, please wait", Groq's "Request too large … on tokens per minute (TPM)" with status 413."""

OTHER_STATUSES: Final = frozenset({401, 402, 403, 404, 429})
"""A message with one of these is about the account or the rate, whatever its words."""

MAX_READ: Final = 4000
"""Characters of a message. A provider may send very many, and other requests wait meanwhile."""

_ANY_WORDING: Final = re.compile("|".join(f"(?:{row.pattern})" for row in WORDINGS), re.IGNORECASE)


def is_context_length_error(status: int, detail: Json, message: str) -> bool:
    """Whether an error object says that the conversation is too long for the model.

    `status` is the provider's HTTP status, 0 if it gave none.
    """
    if any(_names_code(detail.get(name)) for name in ("code", "type")):
        return True
    return (
        status not in OTHER_STATUSES
        and _ANY_WORDING.search(message, 0, MAX_READ) is not None
        and not OTHER_LIMITS.search(message, 0, MAX_READ)
    )


def _names_code(value: Any) -> bool:
    return str(value) in CONTEXT_LENGTH_CODES
