"""The request of Responses, field by field."""

from __future__ import annotations

from native_api.inbound import request_serializer as common
from native_api.inbound.checks import anything, boolean
from native_api.inbound.request_serializer import RequestSerializer, field


class ResponsesSerializer(RequestSerializer):
    """Checks a request for a response."""

    model = field(common.model)
    input = field(anything)
    stream = field(boolean)
