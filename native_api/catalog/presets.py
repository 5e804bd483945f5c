"""The known vendors, one row each. Add a vendor here; see docs/adding-a-provider.md.

A row contains only facts: where the API is, which dialect it speaks, how the key is sent, and in
which quirks it differs. A row stands here only if the vendor's documentation says all of it; `docs`
is the page (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from native_api.catalog.vendor_quirks import (
    CEREBRAS,
    COMPATIBLE,
    DEEPSEEK,
    EITHER_TOKEN_LIMIT,
    GROQ,
    MISTRAL,
    MOONSHOT,
    OPENAI,
    OPENROUTER,
    PERPLEXITY,
    QWEN,
    REASONING_CONTENT,
    TEMPLATE_SWITCH,
    TOGETHER,
    VLLM,
    XAI,
    ZAI,
)
from native_api.types import Quirks
from native_api.types.config import empty_mapping
from native_api.types.registry import Registry

NO_QUIRKS: Final = Quirks()

SECRET_HEADER: Final = re.compile(
    r".*(authorization|cookie|secret|password|token|api[-_]?key|[-_]key|[-_]auth)", re.IGNORECASE
)
"""Names of headers whose values are credentials."""


class BaseURLVariable(NamedTuple):
    """An environment variable from which a vendor's SDK reads its base URL."""

    name: str
    appends: str = ""
    """The path that the SDK appends, which `Preset.base_url` contains."""
    without: str = ""
    """The path that ends the SDK's base URL, and not ours."""
    default_port: int = 0
    """If not 0, the variable may be a host without scheme and port; this is the port."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of a vendor before anybody configures it."""

    name: str
    """The name of the row, and of a provider that names no preset."""
    dialect: str
    """The name of the dialect that the vendor speaks."""
    base_url: str
    """Where its API is. `{name}` is filled from the provider's OPTIONS, except `{model}`, which the
    dialect fills."""
    docs: str = ""
    """The page that documents the API."""
    key_variable: str = ""
    """The environment variable from which the vendor's own SDK reads the key."""
    auth: str = "bearer"
    """The name of the method that adds the key to a request (AUTH)."""
    quirks: Quirks = NO_QUIRKS
    """How the vendor differs from the dialect."""
    headers: Mapping[str, str] = field(default_factory=empty_mapping)
    """Sent with every request. They hold no secret."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=empty_mapping)
    """The required OPTIONS, each with the environment variables from which the vendor's SDK reads
    it."""
    other_variables: tuple[str, ...] = ()
    """Variables that may contain the key if `key_variable` is not set."""
    base_url_variables: tuple[BaseURLVariable, ...] = ()
    """The variables from which the vendor's SDKs read another base URL, besides `ACME_BASE_URL` and
    `ACME_API_BASE` beside a key `ACME_API_KEY`."""
    model_rules: Mapping[str, Mapping[str, Any]] = field(default_factory=empty_mapping)
    """What it says of models (MODEL_RULES): pattern of names -> members."""
    starter_model: str = ""
    """The model that `native_quickstart` makes a route of if the vendor lists none."""
    probe: bool = False
    """True for local servers, which `native_quickstart` looks for at `base_url`."""


def openai_compatible(
    name: str,
    base_url: str,
    docs: str = "",
    key_variable: str = "",
    quirks: Quirks = COMPATIBLE,
    **fields: Any,
) -> Preset:
    """A vendor with an OpenAI-compatible API."""
    return Preset(name, "openai", base_url, docs, key_variable, quirks=quirks, **fields)


def local_server(name: str, base_url: str, docs: str = "", quirks: Quirks = COMPATIBLE) -> Preset:
    """An OpenAI-compatible server that people run themselves, at its default address."""
    return Preset(name, "openai", base_url, docs, auth="none", quirks=quirks, probe=True)


AZURE_OPTIONS: Final = {"endpoint": ("AZURE_OPENAI_ENDPOINT",)}
AZURE_DOCS: Final = "https://learn.microsoft.com/en-us/azure/foundry/openai/api-version-lifecycle"
AZURE_DEPLOYMENTS_URL: Final = "{endpoint}/openai/deployments/{model}?api-version={api_version}"
DEPLOYMENTS_DOCS: Final = "https://learn.microsoft.com/en-us/azure/ai-services/openai/reference"
BEDROCK_DOCS: Final = (
    "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"
)
VERTEX_OPTIONS: Final = {
    "project": ("GOOGLE_CLOUD_PROJECT",),
    "location": ("GOOGLE_CLOUD_LOCATION",),
}
VERTEX_DOCS: Final = "https://cloud.google.com/vertex-ai/generative-ai/docs/start/quickstart"
CLAUDE_DOCS: Final = "https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai"
CLOUDFLARE_DOCS: Final = (
    "https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility"
)
CLOUDFLARE_PATH: Final = "/accounts/{account_id}/ai/v1"
AWS_URLS: Final = (
    BaseURLVariable("AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
    BaseURLVariable("AWS_ENDPOINT_URL"),
)
DASHSCOPE_URLS: Final = tuple(
    BaseURLVariable(name, "/compatible-mode/v1", "/api/v1")
    for name in ("DASHSCOPE_BASE_URL", "DASHSCOPE_HTTP_BASE_URL")
)
DATABRICKS_DOCS: Final = (
    "https://docs.databricks.com/en/machine-learning/foundation-models/api-reference.html"
)

ROWS = (
    Preset(
        "openai", "openai", "https://api.openai.com/v1",
        "https://platform.openai.com/docs/api-reference", "OPENAI_API_KEY", quirks=OPENAI,
    ),
    Preset(
        "azure", "openai", "{endpoint}/openai/v1", AZURE_DOCS, "AZURE_OPENAI_API_KEY", "api-key",
        OPENAI, options=AZURE_OPTIONS,
    ),
    Preset(
        "azure-deployments", "openai", AZURE_DEPLOYMENTS_URL, DEPLOYMENTS_DOCS,
        "AZURE_OPENAI_API_KEY", "api-key", OPENAI,
        options={**AZURE_OPTIONS, "api_version": ("OPENAI_API_VERSION",)},
    ),
    Preset(
        "anthropic", "anthropic", "https://api.anthropic.com/v1",
        "https://docs.anthropic.com/en/api/messages", "ANTHROPIC_API_KEY", "x-api-key",
        base_url_variables=(BaseURLVariable("ANTHROPIC_BASE_URL", "/v1"),),
    ),
    Preset(
        "gemini", "gemini", "https://generativelanguage.googleapis.com/v1beta",
        "https://ai.google.dev/api", "GEMINI_API_KEY", "x-goog-api-key",
        other_variables=("GOOGLE_API_KEY",),
        base_url_variables=(BaseURLVariable("GOOGLE_GEMINI_BASE_URL", "/v1beta"),),
    ),
    Preset(
        "vertex", "gemini", "https://aiplatform.googleapis.com/v1", VERTEX_DOCS, auth="google",
        options=VERTEX_OPTIONS,
        base_url_variables=(BaseURLVariable("GOOGLE_VERTEX_BASE_URL", "/v1"),),
        starter_model="gemini-3.5-flash",
    ),
    Preset(
        "vertex-anthropic", "anthropic_vertex", "https://aiplatform.googleapis.com/v1", CLAUDE_DOCS,
        auth="google", options=VERTEX_OPTIONS,
        base_url_variables=(BaseURLVariable("ANTHROPIC_VERTEX_BASE_URL"),),
        starter_model="claude-haiku-4-5@20251001",
    ),
    Preset(
        "bedrock", "bedrock", "https://bedrock-runtime.{region}.amazonaws.com", BEDROCK_DOCS,
        "AWS_BEARER_TOKEN_BEDROCK", "aws", options={"region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
        base_url_variables=AWS_URLS,
        starter_model="global.anthropic.claude-haiku-4-5-20251001-v1:0",
    ),
    Preset(
        "cohere", "cohere", "https://api.cohere.com/v2", "https://docs.cohere.com/reference/chat",
        "CO_API_KEY",
        base_url_variables=(BaseURLVariable("CO_API_URL", "/v2"),),
    ),
    # Its OpenAI-compatible API leaves the thinking in the text. This one, which its documentation
    # recommends, separates it.
    Preset(
        "minimax", "anthropic", "https://api.minimax.io/anthropic/v1",
        "https://platform.minimax.io/docs/guides/quickstart", "MINIMAX_API_KEY", "x-api-key",
        starter_model="MiniMax-M2.7",
    ),
    openai_compatible(
        "baseten", "https://inference.baseten.co/v1",
        "https://docs.baseten.co/inference/model-apis/overview", "BASETEN_API_KEY",
    ),
    openai_compatible(
        "cerebras", "https://api.cerebras.ai/v1",
        "https://inference-docs.cerebras.ai/resources/openai", "CEREBRAS_API_KEY", CEREBRAS,
        base_url_variables=(BaseURLVariable("CEREBRAS_BASE_URL", "/v1"),),
    ),
    openai_compatible(
        "cloudflare", "https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/v1",
        CLOUDFLARE_DOCS, "CLOUDFLARE_API_TOKEN", options={"account_id": ("CLOUDFLARE_ACCOUNT_ID",)},
        base_url_variables=(BaseURLVariable("CLOUDFLARE_BASE_URL", CLOUDFLARE_PATH),),
        starter_model="@cf/openai/gpt-oss-20b",
    ),
    openai_compatible(
        "databricks", "{host}/serving-endpoints", DATABRICKS_DOCS, "DATABRICKS_TOKEN",
        EITHER_TOKEN_LIMIT, options={"host": ("DATABRICKS_HOST",)},
        starter_model="databricks-gpt-oss-20b",
    ),
    openai_compatible(
        "deepinfra", "https://api.deepinfra.com/v1/openai", "https://docs.deepinfra.com/chat",
        "DEEPINFRA_API_KEY",
    ),
    openai_compatible(
        "deepseek", "https://api.deepseek.com", "https://api-docs.deepseek.com", "DEEPSEEK_API_KEY",
        DEEPSEEK,
    ),
    openai_compatible(
        "fireworks", "https://api.fireworks.ai/inference/v1",
        "https://docs.fireworks.ai/guides/reasoning", "FIREWORKS_API_KEY", REASONING_CONTENT,
        base_url_variables=(BaseURLVariable("FIREWORKS_BASE_URL", "/v1"),),
    ),
    openai_compatible(
        "friendli", "https://api.friendli.ai/serverless/v1",
        "https://friendli.ai/docs/guides/reasoning", "FRIENDLI_TOKEN",
    ),
    openai_compatible(
        "github", "https://models.github.ai/inference", "https://docs.github.com/en/github-models",
        "GITHUB_TOKEN", EITHER_TOKEN_LIMIT,
    ),
    openai_compatible(
        "groq", "https://api.groq.com/openai/v1", "https://console.groq.com/docs/openai",
        "GROQ_API_KEY", GROQ,
        base_url_variables=(BaseURLVariable("GROQ_BASE_URL", "/openai/v1"),),
    ),
    openai_compatible(
        "huggingface", "https://router.huggingface.co/v1",
        "https://huggingface.co/docs/inference-providers", "HF_TOKEN",
    ),
    openai_compatible(
        "inception", "https://api.inceptionlabs.ai/v1",
        "https://docs.inceptionlabs.ai/get-started/models", "INCEPTION_API_KEY",
    ),
    openai_compatible(
        "mistral", "https://api.mistral.ai/v1", "https://docs.mistral.ai/api", "MISTRAL_API_KEY",
        MISTRAL,
    ),
    openai_compatible(
        "moonshot", "https://api.moonshot.ai/v1", "https://platform.moonshot.ai/docs/api/chat",
        "MOONSHOT_API_KEY", MOONSHOT,
    ),
    openai_compatible(
        "nebius", "https://api.tokenfactory.nebius.com/v1", "https://docs.tokenfactory.nebius.com",
        "NEBIUS_API_KEY",
    ),
    openai_compatible(
        "novita", "https://api.novita.ai/openai/v1", "https://novita.ai/docs/guides/introduction",
        "NOVITA_API_KEY",
    ),
    openai_compatible(
        "nvidia", "https://integrate.api.nvidia.com/v1",
        "https://docs.api.nvidia.com/nim/reference/llm-apis", "NVIDIA_API_KEY",
        TEMPLATE_SWITCH,
    ),
    openai_compatible(
        "openrouter", "https://openrouter.ai/api/v1",
        "https://openrouter.ai/docs/api-reference/overview", "OPENROUTER_API_KEY", OPENROUTER,
    ),
    openai_compatible(
        "ovhcloud", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        "https://www.ovhcloud.com/en/public-cloud/ai-endpoints/", "OVHCLOUD_API_KEY",
    ),
    openai_compatible(
        "perplexity", "https://api.perplexity.ai",
        "https://docs.perplexity.ai/docs/sonar/openai-compatibility", "PERPLEXITY_API_KEY",
        PERPLEXITY,
        starter_model="sonar",
    ),
    openai_compatible(
        "qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "https://www.alibabacloud.com/help/en/model-studio/models", "DASHSCOPE_API_KEY", QWEN,
        base_url_variables=DASHSCOPE_URLS,
    ),
    openai_compatible(
        "sambanova", "https://api.sambanova.ai/v1", "https://docs.sambanova.ai/docs",
        "SAMBANOVA_API_KEY",
    ),
    openai_compatible(
        "scaleway", "https://api.scaleway.ai/v1",
        "https://www.scaleway.com/en/docs/generative-apis/", "SCW_SECRET_KEY",
    ),
    openai_compatible(
        "siliconflow", "https://api.siliconflow.com/v1",
        "https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
        "SILICONFLOW_API_KEY",
        # https://github.com/langgenius/dify-official-plugins/pull/3439 (2026-07)
        model_rules={"deepseek-v[4-9]*": {"THINKING": "enable_thinking"}},
    ),
    openai_compatible(
        "stepfun", "https://api.stepfun.com/v1",
        "https://platform.stepfun.com/docs/zh/overview/concept", "STEPFUN_API_KEY",
    ),
    openai_compatible(
        "together", "https://api.together.xyz/v1",
        "https://docs.together.ai/docs/openai-api-compatibility", "TOGETHER_API_KEY", TOGETHER,
        base_url_variables=(BaseURLVariable("TOGETHER_BASE_URL", "/v1"),),
    ),
    openai_compatible(
        "upstage", "https://api.upstage.ai/v1/solar",
        "https://developers.upstage.ai/docs/apis/chat", "UPSTAGE_API_KEY",
    ),
    openai_compatible(
        "vercel", "https://ai-gateway.vercel.sh/v1", "https://vercel.com/docs/ai-gateway",
        "AI_GATEWAY_API_KEY", EITHER_TOKEN_LIMIT,
    ),
    openai_compatible(
        "xai", "https://api.x.ai/v1", "https://docs.x.ai/docs/api-reference", "XAI_API_KEY", XAI,
    ),
    openai_compatible(
        "zai", "https://api.z.ai/api/paas/v4", "https://docs.z.ai/guides/capabilities/thinking",
        "ZAI_API_KEY", ZAI,
    ),
    Preset("echo", "openai", "echo://local/v1", "docs/providers.md", auth="none"),
    local_server(
        "llamacpp", "http://127.0.0.1:8080/v1",
        "https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    ),
    local_server(
        "lmstudio", "http://127.0.0.1:1234/v1", "https://lmstudio.ai/docs/developer/openai-compat",
    ),
    Preset(
        "ollama", "ollama", "http://127.0.0.1:11434", "https://docs.ollama.com/api/chat",
        auth="none", probe=True,
        base_url_variables=(BaseURLVariable("OLLAMA_HOST", default_port=11434),),
    ),
    local_server(
        "sglang", "http://127.0.0.1:30000/v1", "https://docs.sglang.ai/basic_usage/openai_api.html",
        TEMPLATE_SWITCH,
    ),
    local_server(
        "vllm", "http://127.0.0.1:8000/v1", "https://docs.vllm.ai/en/latest/serving/",
        VLLM,
    ),
)  # fmt: skip

PRESETS: Final[Registry[Preset]] = Registry({row.name: row for row in ROWS})
"""Presets by name. `catalog.plugins` adds the site's own (PRESETS)."""


def placeholders(base_url: str) -> list[str]:
    """The OPTIONS that a base URL is filled from."""
    return [name for name in re.findall(r"{(\w+)}", base_url) if name != "model"]
