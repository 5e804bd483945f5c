"""What a dialect sends, without sending it."""

from native_api.dialects import DIALECTS
from native_api.types import Provider, Quirks, Target


def sent_body(chat):
    provider = Provider(
        "acme",
        "openai",
        "https://api.acme.example/v1",
        quirks=Quirks(max_tokens_field="max_tokens", roles={"developer": "system"}),
    )
    request = DIALECTS["openai"].request(chat, Target(provider, "acme-large"))
    return request.url, request.body, request.omitted
