"""The vocabulary of all rooms: values without behaviour. Imports nothing but this room and
`exceptions`."""

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
    EMPTY,
    STRATEGIES,
    Provider,
    Quirks,
    RemoteFiles,
    Secret,
    Strategy,
    Target,
    Timeouts,
    empty,
)
from native_api.types.upstream import Event, UpstreamRequest

__all__ = [
    "COST_DECIMALS",
    "DIALECT_FIELDS",
    "EMPTY",
    "ROUTING_FIELDS",
    "STRATEGIES",
    "Caller",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatRequest",
    "Choice",
    "ChunkChoice",
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
    "empty",
]
