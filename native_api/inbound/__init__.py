"""How clients speak: checks and words of each API, and the limits of request bodies."""

from native_api.inbound.base import InboundFormat, ParsedRequest, StreamWriter
from native_api.inbound.openai import ChatCompletionSerializer, EmbeddingsSerializer

__all__ = [
    "ChatCompletionSerializer",
    "EmbeddingsSerializer",
    "InboundFormat",
    "ParsedRequest",
    "StreamWriter",
]
