"""The unified embeddings request and reply: plain dicts in the shape of OpenAI's Embeddings.

The shapes follow https://platform.openai.com/docs/api-reference/embeddings (read 2026-11).
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from native_api.types.chat import Json, Usage


class EmbeddingsRequest(TypedDict):
    """`input` is one text, several texts, one list of tokens or several lists of tokens."""

    model: str
    input: str | list[str] | list[int] | list[list[int]]
    dimensions: NotRequired[int]
    encoding_format: NotRequired[Literal["float", "base64"]]
    user: NotRequired[str]
    fallbacks: NotRequired[list[str]]
    metadata: NotRequired[dict[str, str]]
    provider_options: NotRequired[Json]


class Embedding(TypedDict):
    """`embedding` is a list of floats, or their little-endian float32 bytes in base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsReply(TypedDict):
    """One embedding per input, in the order of the inputs."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: NotRequired[Usage]
