"""OpenAI's APIs, as clients speak them: the checks of requests and the bytes of replies."""

from native_api.inbound.openai.chat import ChatCompletionSerializer

__all__ = ["ChatCompletionSerializer"]
