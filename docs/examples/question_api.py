"""An API of the site's own: a question in, an answer out, whole or piece by piece."""

import json

from django.urls import path

from native_api.exceptions import InvalidRequest
from native_api.inbound import InboundFormat, ParsedRequest, StreamWriter
from native_api.operations import CHAT
from native_api.views import InferenceView


class AnswerWriter(StreamWriter):
    """Each piece is a server-sent event."""

    def feed(self, chunks):
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        text = "".join(delta.get("content") or "" for delta in deltas)
        return self.event({"answer": text}) if text else b""

    def ping(self):
        return b": still there\n\n"

    def fail(self, error):
        return self.event({"problem": error.message})

    def close(self):
        return self.event({"done": True})

    def event(self, value):
        return b"data: " + json.dumps(value).encode() + b"\n\n"


class QuestionFormat(InboundFormat):
    operation = CHAT

    def parse(self, data, context):
        question = data.get("question")
        if not isinstance(question, str):
            raise InvalidRequest("question: expected a string", param="question")
        chat = {"model": "fast", "messages": [{"role": "user", "content": question}]}
        return ParsedRequest({**chat, "stream": data.get("stream") is True}, [])

    def reply(self, parsed, reply):
        return json.dumps({"answer": reply["choices"][0]["message"]["content"]}).encode()

    def error(self, error, request_id):
        return json.dumps({"problem": error.message}).encode()

    def stream(self, parsed):
        return AnswerWriter()


class QuestionView(InferenceView):
    inbound_format = QuestionFormat()


urlpatterns = [path("native/v1/question", QuestionView.as_view())]
