"""The vendors, one row each. Add a vendor here; see docs/adding-a-provider.md.

A row is a plain fact sheet: where the API is, which dialect it speaks, how the key is sent, and the few quirks
in which it differs. `key_variable` is the environment variable that the vendor's own SDK reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from native_api.types import Quirks, empty

NO_QUIRKS = Quirks()


@dataclass(frozen=True, slots=True)
class Preset:
    """`auth` is a name of `engine.credentials`; `docs` is the page that says so."""

    name: str
    dialect: str
    base_url: str
    docs: str
    key_variable: str = ""
    auth: str = "bearer"
    quirks: Quirks = NO_QUIRKS
    headers: Mapping[str, str] = field(default_factory=empty)
    probe: bool = False
    """True for local servers: `native_quickstart` looks for them at `base_url`."""


ROWS = (
    Preset("openai", "openai", "https://api.openai.com/v1", "https://platform.openai.com/docs/api-reference", "OPENAI_API_KEY"),
    Preset(
        "bedrock", "bedrock", "https://bedrock-runtime.{region}.amazonaws.com",
        "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html", "AWS_BEARER_TOKEN_BEDROCK", auth="aws",
    ),
    Preset("echo", "openai", "echo://local/v1", "docs/providers.md", auth="none"),
    Preset("cohere", "cohere", "https://api.cohere.com/v2", "https://docs.cohere.com/reference/chat", "CO_API_KEY"),
    Preset("ollama", "ollama", "http://127.0.0.1:11434", "https://docs.ollama.com/api/chat", auth="none", probe=True),
    Preset("llamacpp", "openai", "http://127.0.0.1:8080/v1", "https://github.com/ggml-org/llama.cpp", auth="none", probe=True),
    Preset("vllm", "openai", "http://127.0.0.1:8000/v1", "https://docs.vllm.ai/en/latest/serving/", auth="none", probe=True),
    Preset("lmstudio", "openai", "http://127.0.0.1:1234/v1", "https://lmstudio.ai/docs/developer/openai-compat", auth="none", probe=True),
)  # fmt: skip

PRESETS: dict[str, Preset] = {row.name: row for row in ROWS}
