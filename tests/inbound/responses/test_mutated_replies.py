"""Whatever a provider's reply has in some place, the response can be written, complete and streamed:
what the gateway reads as a reply never fails after that."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

from native_api.exceptions import UpstreamError
from native_api.inbound.base import to_json
from native_api.inbound.openai.responses.reply import build_response
from tests.cases import for_each
from tests.dialects.test_mutations import mutate
from tests.inbound.recorded_replies import read_complete
from tests.inbound.responses.reading import parse_request, split_events
from tests.inbound.responses.test_recorded_replies import write_stream
from tests.recorded_cases import build_target, with_members

ROUNDS = 20


@for_each(with_members("reply"))
def test_a_mutated_reply_is_written_or_is_the_providers_fault(case: dict[str, Any]) -> None:
    dice, parsed = random.Random(3), parse_request()
    for _ in range(ROUNDS):
        with suppress(UpstreamError):
            reply = read_complete(
                case["provider"]["dialect"], mutate(case["reply"], dice), build_target(case)
            )
            to_json(build_response(parsed, reply.completion))
            split_events(write_stream(reply.chunks))
