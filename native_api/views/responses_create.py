"""The endpoints of OpenAI's Responses API that call models. Those for responses that are kept are
in `responses`."""

from __future__ import annotations

from native_api.inbound.openai.responses import ResponsesFormat
from native_api.views.inference import InferenceView


class ResponsesView(InferenceView):
    """`POST v1/responses`."""

    inbound_format = ResponsesFormat()
