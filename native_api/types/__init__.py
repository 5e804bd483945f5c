"""The values that pass between rooms, such as requests, providers and callers. Imports only this
room and `exceptions`."""

from native_api.types.caller import Caller
from native_api.types.chat import (
    DIALECT_FIELDS,
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    Choice,
    ChunkChoice,
    Json,
    Message,
    ToolCall,
    Usage,
)
from native_api.types.config import (
    Provider,
    Quirks,
    RemoteFiles,
    Secret,
    Target,
    Timeouts,
)
from native_api.types.embeddings import Embedding, EmbeddingsReply, EmbeddingsRequest
from native_api.types.upstream import (
    NO_CHUNK,
    ClientBody,
    Event,
    ForwardedEvent,
    UpstreamRequest,
)

__all__ = [
    "DIALECT_FIELDS",
    "NO_CHUNK",
    "Caller",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatRequest",
    "Choice",
    "ChunkChoice",
    "ClientBody",
    "Embedding",
    "EmbeddingsReply",
    "EmbeddingsRequest",
    "Event",
    "ForwardedEvent",
    "Json",
    "Message",
    "Provider",
    "Quirks",
    "RemoteFiles",
    "Secret",
    "Target",
    "Timeouts",
    "ToolCall",
    "UpstreamRequest",
    "Usage",
]
