"""Every check of a request, and nowhere else."""

from native_api.serializers.chat import ChatCompletionSerializer

__all__ = ["ChatCompletionSerializer"]
