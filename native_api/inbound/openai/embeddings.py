"""OpenAI's Embeddings, as clients speak it:
https://platform.openai.com/docs/api-reference/embeddings (read 2026-11)."""

from __future__ import annotations

from typing import Any, Final

from native_api.inbound import request_serializer as common
from native_api.inbound.checks import (
    CheckedField,
    FieldError,
    at_least,
    integer,
    kind_of,
    list_of,
    one_of,
    string,
)
from native_api.inbound.openai.base import UnifiedFormat
from native_api.inbound.request_serializer import RequestSerializer, field, require
from native_api.operations import EMBEDDINGS

MAX_INPUTS: Final = 2048
MAX_TOKENS: Final = 8192
"""OpenAI's own limits: texts or lists of tokens per request, and tokens per list."""

TOKENS: Final = list_of(at_least(0, integer), MAX_TOKENS)


def embedding_input(value: Any, path: str) -> Any:
    """A text, texts, a list of tokens, or lists of tokens."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise FieldError(path, f"expected a string or a list, not {kind_of(value)}")
    if not value:
        raise FieldError(path, "expected at least one input")
    if isinstance(value[0], int):
        return TOKENS(value, path)
    return list_of(TOKENS if isinstance(value[0], list) else string, MAX_INPUTS)(value, path)


class EmbeddingsSerializer(RequestSerializer):
    """Checks an embeddings request."""

    model = field(common.model)
    input = CheckedField(embedding_input)
    dimensions = field(at_least(1, integer))
    encoding_format = field(one_of("float", "base64"))
    user = field(string)
    metadata = field(common.metadata)
    fallbacks = field(common.fallbacks)
    provider_options = field(common.provider_options)

    def check_together(self, checked: dict[str, Any]) -> None:
        require(checked, "model", "input")


class EmbeddingsFormat(UnifiedFormat):
    operation = EMBEDDINGS
    conversation_fields = ()

    def __init__(self) -> None:
        super().__init__(EmbeddingsSerializer())
