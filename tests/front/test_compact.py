"""Compacting a conversation through the official SDK, with a provider of any wire."""

from __future__ import annotations

import pytest

from tests.clients.model import ModelInput, ModelOutput
from tests.front.apis import WIRES
from tests.front.conftest import sdk_for
from tests.scripted_provider import Exchange, Upstream
from tests.servers import Site

SUMMARY = "The house is to be green."


@pytest.mark.parametrize("provider", WIRES)
def test_a_conversation_is_compacted_and_goes_on(
    asgi_site: Site, upstream: Upstream, provider: str
) -> None:
    model = f"compacted-{provider}"
    wire = WIRES[provider]

    async def script(exchange: Exchange) -> None:
        await exchange.json(wire.build_reply(ModelInput([]), ModelOutput(SUMMARY)))

    upstream.script(model, script)
    with sdk_for(asgi_site) as sdk:
        raw = sdk.responses.with_raw_response.compact(
            model=f"{provider}/{model}", input=[{"role": "user", "content": "Paint the house."}]
        )
        compacted = raw.parse()
        [record] = asgi_site.wait_for_usage(request_id=raw.headers["x-request-id"])
        output = [item.to_dict(exclude_none=True, warnings=False) for item in compacted.output]
        sdk.responses.create(
            model=f"{provider}/{model}", input=[*output, {"role": "user", "content": "Go on."}]
        )
    assert [item.type for item in compacted.output] == ["message", "compaction"]
    assert (record["endpoint"], record["status"]) == ("responses/compact", "ok")
    sent = str(upstream.requests_for(model)[-1].body)
    assert SUMMARY in sent
    assert "encrypted_content" not in sent.replace("reasoning.encrypted_content", "")
