"""OpenAI's APIs, as clients speak them."""

from native_api.inbound.openai.chat import ChatCompletions
from native_api.inbound.openai.chat_serializer import ChatCompletionSerializer
from native_api.inbound.openai.embeddings import EmbeddingsFormat, EmbeddingsSerializer

__all__ = [
    "ChatCompletionSerializer",
    "ChatCompletions",
    "EmbeddingsFormat",
    "EmbeddingsSerializer",
]
