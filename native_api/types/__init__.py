"""The values that pass between rooms, such as requests, providers and callers. Imports only this
room and `exceptions`."""

from native_api.types.caller import Caller
from native_api.types.chat import (
    DIALECT_FIELDS,
    ROUTING_FIELDS,
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
    COST_DECIMALS,
    EMPTY_MAPPING,
    STRATEGIES,
    Provider,
    Quirks,
    RemoteFiles,
    Secret,
    Strategy,
    Target,
    Timeouts,
    empty_mapping,
)
from native_api.types.embeddings import Embedding, EmbeddingsReply, EmbeddingsRequest
from native_api.types.upstream import Event, UpstreamRequest

__all__ = [
    "COST_DECIMALS",
    "DIALECT_FIELDS",
    "EMPTY_MAPPING",
    "ROUTING_FIELDS",
    "STRATEGIES",
    "Caller",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatRequest",
    "Choice",
    "ChunkChoice",
    "Embedding",
    "EmbeddingsReply",
    "EmbeddingsRequest",
    "Event",
    "Json",
    "Message",
    "Provider",
    "Quirks",
    "RemoteFiles",
    "Secret",
    "Strategy",
    "Target",
    "Timeouts",
    "ToolCall",
    "UpstreamRequest",
    "Usage",
    "empty_mapping",
]
