"""The vendors, one row each. Add a vendor here; see docs/adding-a-provider.md.

A row is a plain fact sheet: where the API is, which dialect it speaks, how the key is sent, and the
few quirks in which it differs. `key_variable` is the environment variable that the vendor's own SDK
reads. A row stands here only if the vendor's documentation says all of it; `docs` is the page (read
2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from native_api.types import Json, Quirks, empty

NO_QUIRKS = Quirks()


@dataclass(frozen=True, slots=True)
class Preset:
    """`auth` is a name of `engine.credentials`; `docs` is the page that says so.

    `{name}` in `base_url` is filled from the provider's OPTIONS, but for `{model}`, which the
    dialect fills.
    """

    name: str
    dialect: str
    base_url: str
    docs: str
    key_variable: str = ""
    auth: str = "bearer"
    quirks: Quirks = NO_QUIRKS
    headers: Mapping[str, str] = field(default_factory=empty)
    options: Mapping[str, tuple[str, ...]] = field(default_factory=empty)
    """The OPTIONS that it cannot do without, and the environment variables that the vendor's SDK
    looks for each in."""
    other_variables: tuple[str, ...] = ()
    """Where the key is looked for when `key_variable` is not set."""
    probe: bool = False
    """True for local servers: `native_quickstart` looks for them at `base_url`."""


# --- how the OpenAI-compatible family differs from OpenAI ----------------------------------------------------

SYSTEM = {"developer": "system"}
"""Most servers of the family know no developer role, which is OpenAI's newer word for system."""

OPENAIS_OWN = frozenset({"tools.custom", "tool_choice.allowed_tools"})
"""What no other vendor was seen to take."""

ACCOUNT = frozenset({"metadata", "safety_identifier", "service_tier", "store"})
SOUND = frozenset({"audio", "modalities"})
LIKELIHOODS = frozenset({"logit_bias", "logprobs", "top_logprobs"})

OPENAI = Quirks(max_tokens_field="max_completion_tokens")
FAMILY = Quirks(max_tokens_field="max_tokens", roles=SYSTEM, unsupported=OPENAIS_OWN)
MIXED = Quirks(roles=SYSTEM, unsupported=OPENAIS_OWN)
"""Where some models want the output limit by its old name and others by its new one: it goes as the
client said it."""
CONTENT = Quirks(
    max_tokens_field="max_tokens",
    roles=SYSTEM,
    unsupported=OPENAIS_OWN,
    reasoning_field="reasoning_content",
)
REASONING = Quirks(
    max_tokens_field="max_tokens",
    roles=SYSTEM,
    unsupported=OPENAIS_OWN,
    reasoning_field="reasoning",
)

CEREBRAS = Quirks(
    max_tokens_field="max_completion_tokens", roles=SYSTEM, reasoning_field="reasoning",
    unsupported=OPENAIS_OWN | {"frequency_penalty", "presence_penalty", "logit_bias", "messages.name"},
)  # fmt: skip
DEEPSEEK = Quirks(
    max_tokens_field="max_tokens", roles=SYSTEM, reasoning_field="reasoning_content", thinking="thinking", text_parts=False,
    unsupported=OPENAIS_OWN | ACCOUNT | SOUND | {
        "logit_bias", "n", "parallel_tool_calls", "prediction", "prompt_cache_key", "response_format.json_schema", "seed", "user",
        "verbosity", "web_search_options",
    },
)  # fmt: skip
GROQ = Quirks(
    roles=SYSTEM, reasoning_field="reasoning",
    unsupported=OPENAIS_OWN | LIKELIHOODS | SOUND | {
        "messages.name", "metadata", "n", "prediction", "prompt_cache_key", "safety_identifier", "store", "verbosity", "web_search_options",
    },
)  # fmt: skip
MISTRAL = Quirks(
    # It answers 422 to every field that it does not know. Usage comes with the last chunk, unasked.
    max_tokens_field="max_tokens", roles=SYSTEM, renamed={"seed": "random_seed"}, stream_usage=False, reasoning_field="thinking",
    file_part="document_url", call_id_length=9, user_after_tools=False,
    unsupported=OPENAIS_OWN | LIKELIHOODS | SOUND | {
        "messages.name", "messages.refusal", "safety_identifier", "service_tier", "store", "user", "verbosity", "web_search_options",
    },
)  # fmt: skip
MOONSHOT = Quirks(
    roles=SYSTEM, reasoning_field="reasoning_content", thinking="thinking",
    unsupported=OPENAIS_OWN | LIKELIHOODS | {"tool_choice.required"},
)  # fmt: skip
OPENROUTER = Quirks(
    max_tokens_field="max_tokens", reasoning_field="reasoning", unsupported=OPENAIS_OWN,
    extensions=frozenset({"reasoning_details", "annotations", "cache_control", "file_url", "images"}),
)  # fmt: skip
PERPLEXITY = Quirks(
    max_tokens_field="max_tokens", roles=SYSTEM, reasoning_field="think_tags", file_part="file_url", stream_usage=False,
    unsupported=OPENAIS_OWN | ACCOUNT | LIKELIHOODS | SOUND | {
        "messages.name", "n", "parallel_tool_calls", "prediction", "prompt_cache_key", "response_format.json_object", "seed", "tool_choice",
        "tools", "user", "verbosity",
    },
)  # fmt: skip
QWEN = Quirks(
    max_tokens_field="max_tokens", roles=SYSTEM, reasoning_field="reasoning_content", thinking="enable_thinking", unsupported=OPENAIS_OWN,
    extensions=frozenset({"cache_control"}),
)  # fmt: skip
XAI = Quirks(
    roles=SYSTEM, reasoning_field="reasoning_content",
    unsupported=OPENAIS_OWN | SOUND | {"logit_bias", "metadata", "prediction", "store", "verbosity"},
)  # fmt: skip
ZAI = Quirks(
    max_tokens_field="max_tokens", roles=SYSTEM, reasoning_field="reasoning_content", thinking="thinking", file_part="file_url",
    renamed={"user": "user_id"},
    unsupported=OPENAIS_OWN | ACCOUNT | LIKELIHOODS | SOUND | {
        "frequency_penalty", "n", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
        "response_format.json_schema", "seed", "tool_choice.function", "tool_choice.none", "tool_choice.required", "verbosity",
        "web_search_options",
    },
)  # fmt: skip


def compatible(
    name: str, base_url: str, docs: str, key_variable: str, quirks: Quirks = FAMILY, **more: Any
) -> Preset:
    """A vendor of the OpenAI-compatible family."""
    return Preset(name, "openai", base_url, docs, key_variable, quirks=quirks, **more)


def local(name: str, base_url: str, docs: str, quirks: Quirks = FAMILY) -> Preset:
    """A server of the family that people run themselves, at its usual address."""
    return Preset(name, "openai", base_url, docs, auth="none", quirks=quirks, probe=True)


AZURE = {"endpoint": ("AZURE_OPENAI_ENDPOINT",)}
AZURE_DOCS = "https://learn.microsoft.com/en-us/azure/foundry/openai/api-version-lifecycle"
DEPLOYMENTS = "{endpoint}/openai/deployments/{model}?api-version={api_version}"
DEPLOYMENTS_DOCS = "https://learn.microsoft.com/en-us/azure/ai-services/openai/reference"
BEDROCK_DOCS = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"
VERTEX = {"project": ("GOOGLE_CLOUD_PROJECT",), "location": ("GOOGLE_CLOUD_LOCATION",)}
VERTEX_DOCS = "https://cloud.google.com/vertex-ai/generative-ai/docs/start/quickstart"
CLAUDE_DOCS = "https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai"
CLOUDFLARE_DOCS = "https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility"
DATABRICKS_DOCS = (
    "https://docs.databricks.com/en/machine-learning/foundation-models/api-reference.html"
)

ROWS = (
    Preset("openai", "openai", "https://api.openai.com/v1", "https://platform.openai.com/docs/api-reference", "OPENAI_API_KEY",
           quirks=OPENAI),
    Preset("azure", "openai", "{endpoint}/openai/v1", AZURE_DOCS, "AZURE_OPENAI_API_KEY", "api-key", OPENAI, options=AZURE),
    Preset("azure-deployments", "openai", DEPLOYMENTS, DEPLOYMENTS_DOCS, "AZURE_OPENAI_API_KEY", "api-key", OPENAI,
           options={**AZURE, "api_version": ("OPENAI_API_VERSION",)}),
    Preset("anthropic", "anthropic", "https://api.anthropic.com/v1", "https://docs.anthropic.com/en/api/messages", "ANTHROPIC_API_KEY",
           "x-api-key"),
    Preset("gemini", "gemini", "https://generativelanguage.googleapis.com/v1beta", "https://ai.google.dev/api", "GEMINI_API_KEY",
           "x-goog-api-key", other_variables=("GOOGLE_API_KEY",)),
    Preset("vertex", "gemini", "https://aiplatform.googleapis.com/v1", VERTEX_DOCS, auth="google", options=VERTEX),
    Preset("vertex-anthropic", "anthropic_vertex", "https://aiplatform.googleapis.com/v1", CLAUDE_DOCS, auth="google", options=VERTEX),
    Preset("bedrock", "bedrock", "https://bedrock-runtime.{region}.amazonaws.com", BEDROCK_DOCS, "AWS_BEARER_TOKEN_BEDROCK", "aws",
           options={"region": ("AWS_REGION", "AWS_DEFAULT_REGION")}),
    Preset("cohere", "cohere", "https://api.cohere.com/v2", "https://docs.cohere.com/reference/chat", "CO_API_KEY"),
    # Its OpenAI-compatible API leaves the thinking in the text; this one, which its documentation
    # recommends, tells it apart.
    Preset("minimax", "anthropic", "https://api.minimax.io/anthropic/v1", "https://platform.minimax.io/docs/guides/quickstart",
           "MINIMAX_API_KEY", "x-api-key"),
    compatible("baseten", "https://inference.baseten.co/v1", "https://docs.baseten.co/inference/model-apis/overview", "BASETEN_API_KEY"),
    compatible("cerebras", "https://api.cerebras.ai/v1", "https://inference-docs.cerebras.ai/resources/openai", "CEREBRAS_API_KEY",
               CEREBRAS),
    compatible("cloudflare", "https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/v1", CLOUDFLARE_DOCS, "CLOUDFLARE_API_TOKEN",
               options={"account_id": ("CLOUDFLARE_ACCOUNT_ID",)}),
    compatible("databricks", "{host}/serving-endpoints", DATABRICKS_DOCS, "DATABRICKS_TOKEN", MIXED,
               options={"host": ("DATABRICKS_HOST",)}),
    compatible("deepinfra", "https://api.deepinfra.com/v1/openai", "https://docs.deepinfra.com/chat", "DEEPINFRA_API_KEY"),
    compatible("deepseek", "https://api.deepseek.com", "https://api-docs.deepseek.com", "DEEPSEEK_API_KEY", DEEPSEEK),
    compatible("fireworks", "https://api.fireworks.ai/inference/v1", "https://docs.fireworks.ai/guides/reasoning", "FIREWORKS_API_KEY",
               CONTENT),
    compatible("friendli", "https://api.friendli.ai/serverless/v1", "https://friendli.ai/docs/guides/reasoning", "FRIENDLI_TOKEN"),
    compatible("github", "https://models.github.ai/inference", "https://docs.github.com/en/github-models", "GITHUB_TOKEN", MIXED),
    compatible("groq", "https://api.groq.com/openai/v1", "https://console.groq.com/docs/openai", "GROQ_API_KEY", GROQ),
    compatible("huggingface", "https://router.huggingface.co/v1", "https://huggingface.co/docs/inference-providers", "HF_TOKEN"),
    compatible("inception", "https://api.inceptionlabs.ai/v1", "https://docs.inceptionlabs.ai/get-started/models", "INCEPTION_API_KEY"),
    compatible("mistral", "https://api.mistral.ai/v1", "https://docs.mistral.ai/api", "MISTRAL_API_KEY", MISTRAL),
    compatible("moonshot", "https://api.moonshot.ai/v1", "https://platform.moonshot.ai/docs/api/chat", "MOONSHOT_API_KEY", MOONSHOT),
    compatible("nebius", "https://api.tokenfactory.nebius.com/v1", "https://docs.tokenfactory.nebius.com", "NEBIUS_API_KEY"),
    compatible("novita", "https://api.novita.ai/openai/v1", "https://novita.ai/docs/guides/introduction", "NOVITA_API_KEY"),
    compatible("nvidia", "https://integrate.api.nvidia.com/v1", "https://docs.api.nvidia.com/nim/reference/llm-apis", "NVIDIA_API_KEY"),
    compatible("openrouter", "https://openrouter.ai/api/v1", "https://openrouter.ai/docs/api-reference/overview", "OPENROUTER_API_KEY",
               OPENROUTER),
    compatible("ovhcloud", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", "https://www.ovhcloud.com/en/public-cloud/ai-endpoints/",
               "OVHCLOUD_API_KEY"),
    compatible("perplexity", "https://api.perplexity.ai", "https://docs.perplexity.ai/docs/sonar/openai-compatibility",
               "PERPLEXITY_API_KEY", PERPLEXITY),
    compatible("qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
               "https://www.alibabacloud.com/help/en/model-studio/models", "DASHSCOPE_API_KEY", QWEN),
    compatible("sambanova", "https://api.sambanova.ai/v1", "https://docs.sambanova.ai/docs", "SAMBANOVA_API_KEY"),
    compatible("scaleway", "https://api.scaleway.ai/v1", "https://www.scaleway.com/en/docs/generative-apis/", "SCW_SECRET_KEY"),
    compatible("siliconflow", "https://api.siliconflow.com/v1",
               "https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions", "SILICONFLOW_API_KEY"),
    compatible("stepfun", "https://api.stepfun.com/v1", "https://platform.stepfun.com/docs/zh/overview/concept", "STEPFUN_API_KEY"),
    compatible("together", "https://api.together.xyz/v1", "https://docs.together.ai/docs/openai-api-compatibility", "TOGETHER_API_KEY"),
    compatible("upstage", "https://api.upstage.ai/v1/solar", "https://developers.upstage.ai/docs/apis/chat", "UPSTAGE_API_KEY"),
    compatible("vercel", "https://ai-gateway.vercel.sh/v1", "https://vercel.com/docs/ai-gateway", "AI_GATEWAY_API_KEY", MIXED),
    compatible("xai", "https://api.x.ai/v1", "https://docs.x.ai/docs/api-reference", "XAI_API_KEY", XAI),
    compatible("zai", "https://api.z.ai/api/paas/v4", "https://docs.z.ai/guides/capabilities/thinking", "ZAI_API_KEY", ZAI),
    Preset("echo", "openai", "echo://local/v1", "docs/providers.md", auth="none"),
    local("llamacpp", "http://127.0.0.1:8080/v1", "https://github.com/ggml-org/llama.cpp/tree/master/tools/server"),
    local("lmstudio", "http://127.0.0.1:1234/v1", "https://lmstudio.ai/docs/developer/openai-compat"),
    Preset("ollama", "ollama", "http://127.0.0.1:11434", "https://docs.ollama.com/api/chat", auth="none", probe=True),
    local("sglang", "http://127.0.0.1:30000/v1", "https://docs.sglang.ai/basic_usage/openai_api.html"),
    local("vllm", "http://127.0.0.1:8000/v1", "https://docs.vllm.ai/en/latest/serving/", REASONING),
)  # fmt: skip

PRESETS: dict[str, Preset] = {row.name: row for row in ROWS}


def found_in(environment: Mapping[str, str]) -> dict[str, Json]:
    """Every vendor whose variables are all set, written as `NATIVE_API["PROVIDERS"]` is."""
    return {row.name: told for row in ROWS if (told := _found(row, environment)) is not None}


def _found(row: Preset, environment: Mapping[str, str]) -> Json | None:
    key = _first((row.key_variable, *row.other_variables), environment)
    options = {name: _first(variables, environment) for name, variables in row.options.items()}
    told: Json = {"API_KEY": key} if row.key_variable else {}
    if row.options:
        told["OPTIONS"] = options
    return told if told and all((key or not row.key_variable, *options.values())) else None


def _first(variables: tuple[str, ...], environment: Mapping[str, str]) -> str:
    return next(
        (environment[name].strip() for name in variables if environment.get(name, "").strip()), ""
    )


def placeholders(base_url: str) -> list[str]:
    """The OPTIONS that a base URL is filled from."""
    return [name for name in re.findall(r"{(\w+)}", base_url) if name != "model"]
