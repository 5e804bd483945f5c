"""Every check of a request, and nowhere else."""

from native_api.inbound.openai.chat import ChatCompletionSerializer

__all__ = ["ChatCompletionSerializer"]
