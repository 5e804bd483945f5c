"""OpenAI's Responses, as clients speak them."""

from native_api.inbound.openai.responses.compact import CompactFormat
from native_api.inbound.openai.responses.input_tokens import InputTokensFormat
from native_api.inbound.openai.responses.responses import ResponsesFormat

__all__ = ["CompactFormat", "InputTokensFormat", "ResponsesFormat"]
