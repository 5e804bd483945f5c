"""That a conversation is too long is understood in every provider's words, on every wire, wherever
the error comes: as a status, in a reply's place, as an event."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from native_api.dialects import DIALECTS
from native_api.dialects.shared.context_length import MAX_READ, WORDINGS
from native_api.exceptions import UpstreamError
from native_api.types import Event, Provider, Target
from tests.cases import each

TOO_LONG = (400, "context_length_exceeded", "messages")

BODIES: dict[str, Any] = {
    "xai": {
        "code": "Client specified an invalid argument",
        "error": "This model's maximum prompt length is 131072 but the request contains 537812 "
        "tokens.",
    },
    "llama.cpp": {
        "error": {
            "code": 400,
            "message": "request (124315 tokens) exceeds the available context size (123904 tokens)"
            ", try increasing it",
            "type": "exceed_context_size_error",
        }
    },
    "llama.cpp, other words": {
        "error": {"code": 400, "message": "no room", "type": "exceed_context_size_error"}
    },
    "lmstudio": {
        "error": "The number of tokens to keep from the initial prompt is greater than the context "
        "length (n_keep: 5000>= n_ctx: 4096)."
    },
    "moonshot": {
        "error": {
            "message": "Invalid request: Your request exceeded model token limit: 262144 "
            "(requested: 291351)",
            "type": "invalid_request_error",
        }
    },
    "vllm": {
        "error": {
            "message": "The decoder prompt (length 45000) is longer than the maximum model length "
            "of 32768.",
            "type": "BadRequestError",
            "code": 400,
        }
    },
    "sglang": {
        "object": "error",
        "message": "The input (150000 tokens) is longer than the model's context length "
        "(131072 tokens).",
        "code": 400,
    },
    "together": {
        "error": {
            "message": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= "
            "131073. Given: 140000 `inputs` tokens and 2048 `max_new_tokens`",
            "type": "invalid_request_error",
        }
    },
    "zai": {"error": {"code": "1261", "message": "Prompt exceeds max length"}},
    "qwen": {
        "error": {
            "message": "<400> InternalError.Algo.InvalidParameter: Range of input length should be "
            "[1, 258048]",
            "code": "invalid_parameter_error",
        }
    },
    "nvidia": {
        "error": {
            "message": "Input length 877338 exceeds the maximum allowed input length of 639968 "
            "tokens",
            "code": "400",
        }
    },
    "bedrock": {"message": "Input exceeds the max input token limit"},
    "ollama": {"error": "prompt too long; exceeded max context length by 4 tokens"},
    "github": {
        "error": {
            "code": "tokens_limit_reached",
            "message": "Request body too large for gpt-4o model. Max size: 8000 tokens.",
        }
    },
    "huggingface": {
        "error": "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000",
        "error_type": "validation",
    },
    "minimax": {
        "base_resp": {
            "status_code": 2013,
            "status_msg": "invalid params, context window exceeds limit",
        }
    },
    "openrouter": {
        "error": {
            "code": 400,
            "message": "Provider returned error",
            "metadata": {
                "raw": '{"error":{"message":"Prompt contains 65673 tokens, too large for model '
                'with 32768 maximum context length"}}'
            },
        }
    },
    "volcengine": {"error": {"code": "OutofContextError", "message": "Too much."}},
    "watsonx": {"errors": [{"code": "token_quantity_exceeded", "message": "Too much."}]},
}
"""Error bodies as providers of OpenAI's wire send them with status 400."""

MESSAGES = [
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 8545.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 509178 "
    "tokens.",
    "Invalid 'input[0]': maximum input length is 8192 tokens.",
    "prompt is too long: 213462 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 186433 + 20000 > 200000, decrease input",
    "Input is too long for requested model.",
    "Too many input tokens. Max input tokens: 128000, request input token count: 140000",
    "Malformed input request: expected maxLength: 50000, actual: 60000, please reformat your input",
    "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
    "Unable to submit request because the input token count is 1251952 but model only supports up "
    "to 1048576.",
    "Your input context is too long",
    "prompt token count of 51808 exceeds the limit of 12288",
    "Please reduce the length of the messages or completion. Current length is 42328 while limit is"
    " 40000",
    "Requested token count exceeds the model's maximum context length of 256000 tokens.",
    "You passed 202753 input tokens and requested 0 output tokens. However, the model's context "
    "length is only 202752 tokens, resulting in a maximum input length of 202752 tokens.",
    "Trying to keep the first 111490 tokens when context the overflows. However, the model is "
    "loaded with context length of only 32768 tokens, which is not enough.",
    "The prompt (total length 25938) is too long to fit into the model (context length 4096).",
    "Requested tokens (1500) exceed context window of 1024",
    "Context size has been exceeded.",
    "the input length exceeds the context length",
    "input (9000 tokens) is too large to process. increase the physical batch size",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.",
    "the number of input tokens 9000 cannot exceed the total tokens limit 8192 for this model",
    "Total tokens of image and text exceed max message tokens.",
    "Prompt 超长",
    "n_keep: 5000>= n_ctx: 4096",
    *(
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        "Your request exceeded model token limit: 262144 (requested: 291351)",
        "The decoder prompt (length 45000) is longer than the maximum model length of 32768.",
        "`inputs` must have less than 4095 tokens. Given: 5000",
        "Prompt exceeds max length",
        "Range of input length should be [1, 258048]",
        "Request body too large for gpt-4o model. Max size: 8000 tokens.",
    ),
]

OTHER_MESSAGES = [
    # Use over time.
    "Rate limit reached for gpt-4o on input tokens per min (TPM): Limit 30000, Requested 40000.",
    "Too many tokens, please wait before trying again.",
    "This request would exceed your organization's rate limit of 40,000 input tokens per minute.",
    "Request too large for model `llama-4` in organization `o` on tokens per minute (TPM): Limit "
    "6000, Requested 8000, please reduce your message size and try again.",
    "Too many input tokens per day, please wait before trying again.",
    "You exceeded your current quota, please check your plan and billing details.",
    # The answer's length.
    "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
    "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for claude",
    "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less "
    "than the `context_window` for this model",
    "Range of max_tokens should be [1, 8192]",
    "too many tokens: max tokens must be less than or equal to 4096 - received 8192.",
    # Bytes, images, single strings.
    "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 6291456 > 5242880 bytes",
    "Request payload size exceeds the limit: 20971520 bytes.",
    "The image size exceeds the maximum allowed size.",
    "Invalid 'user': string too long. Expected a string with maximum length 64, but got 90.",
    "tools[0].function.name exceeds the maximum length of 64",
    # The model.
    "Model context window too small (minimum is 128k tokens)",
    "The context is large, but acceptable.",
]

AMAZONS = ("bedrock", "anthropic_bedrock")
TARGETS = {name: Target(Provider("p", name, "https://example.com/v1"), "m") for name in DIALECTS}


def in_words_of(name: str, message: str) -> Any:
    """The body of a provider's error with this message, on this wire."""
    if name in ("anthropic", "anthropic_vertex"):
        return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    if name == "gemini":
        return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
    if name in AMAZONS:
        return {"__type": "ValidationException", "message": message}
    if name == "cohere":
        return {"id": "e", "message": message}
    if name == "ollama":
        return {"error": message}
    return {"error": {"message": message, "type": "invalid_request_error", "code": None}}


def read_status_error(name: str, body: Any, status: int = 400) -> UpstreamError:
    return DIALECTS[name].error(status, {}, json.dumps(body).encode())


def read_reply_error(name: str, body: Any) -> UpstreamError:
    return catch(lambda: DIALECTS[name].response(body, TARGETS[name]))


def read_event_error(name: str, body: Any) -> UpstreamError:
    types = {**dict.fromkeys(AMAZONS, "validationException"), "openai_responses": "error"}
    data = {"type": "error", **body} if name == "openai_responses" else body
    parser = DIALECTS[name].stream(TARGETS[name])
    return catch(lambda: list(parser.feed(Event(types.get(name, ""), json.dumps(data)))))


def catch(read: Callable[[], Any]) -> UpstreamError:
    try:
        result = read()
    except UpstreamError as error:
        return error
    raise AssertionError(f"no error: {result}")


def row(error: UpstreamError) -> Any:
    return (error.status, error.code, error.param)


@each("vendor", BODIES)
def test_an_error_body_that_says_too_long_is_understood(vendor: str) -> None:
    for name in ("openai", "openai_responses", "ollama"):
        assert row(read_status_error(name, BODIES[vendor])) == TOO_LONG, name


@each("message", MESSAGES)
@each("name", DIALECTS)
def test_every_wire_understands_every_wording(name: str, message: str) -> None:
    body = in_words_of(name, message)
    assert row(read_status_error(name, body)) == TOO_LONG
    assert row(read_reply_error(name, body)) == TOO_LONG
    assert row(read_event_error(name, body)) == TOO_LONG


@each("message", OTHER_MESSAGES)
@each("name", DIALECTS)
def test_no_wire_takes_another_limit_for_it(name: str, message: str) -> None:
    body = in_words_of(name, message)
    for error in (
        read_status_error(name, body),
        read_status_error(name, body, 413),
        read_status_error(name, body, 429),
        read_reply_error(name, body),
        read_event_error(name, body),
    ):
        assert error.code != "context_length_exceeded"


@each("status", [401, 402, 403, 404, 429])
def test_an_error_of_the_account_or_the_rate_is_not_one_of_length(status: int) -> None:
    body = in_words_of("openai", "Your account exceeds the context window of its plan.")
    assert read_status_error("openai", body, status).code != "context_length_exceeded"


@each("name", DIALECTS)
def test_a_providers_429_is_not_taken_for_one_of_the_gateway(name: str) -> None:
    error = read_status_error(name, in_words_of(name, "Slow down."), 429)
    if name in AMAZONS:  # Their status is that of the exception's name.
        error = read_status_error(name, {"__type": "ThrottlingException", "message": "Slow down."})
    assert (error.status, error.code) == (429, "rate_limit_exceeded")
    assert error.message == "The provider limits its use (429), not this gateway: Slow down."


def test_a_providers_429_without_credit_is_the_accounts() -> None:
    body = {"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}
    error = read_status_error("openai", body, 429)
    assert "this site's account there has no credit left: You exceeded" in error.message
    assert error.headers["x-should-retry"] == "false"


def test_a_length_error_may_come_as_a_servers_fault() -> None:
    for status in (413, 422, 424, 500):
        error = read_status_error("ollama", {"error": MESSAGES[-1]}, status)
        assert (error.code, error.upstream_status) == ("context_length_exceeded", status)


def test_only_the_beginning_of_a_message_is_read() -> None:
    said = f"{'x' * (MAX_READ - 40)} Prompt exceeds max length"
    assert read_status_error("openai", in_words_of("openai", said)).code == TOO_LONG[1]
    body = in_words_of("openai", f"{'x' * MAX_READ} Prompt exceeds max length")
    assert read_status_error("openai", body).code == "invalid_request"


@each("wording", WORDINGS)
def test_each_wording_is_somebodys(wording: Any) -> None:
    """A pattern that finds none of the messages above is dead, one without a source unknown."""
    assert any(re.search(wording.pattern, message, re.IGNORECASE) for message in MESSAGES)
    assert wording.vendors
    assert re.search(r"github\.com/|https://", wording.source)
