"""A process of the site that keeps responses for a user: the calls of `kept_responses.keep` that it
reads from its arguments, as JSON. Prints whether each was kept.

    python -m tests.front.keep_response '[{"user": "alice", "response": {…}, "input": […]}]'
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402

from native_api.gateway import kept_responses  # noqa: E402
from native_api.types import Caller  # noqa: E402


def main(calls: list[dict[str, Any]]) -> list[bool]:
    callers = {user.username: Caller(user.pk, user.username) for user in User.objects.all()}
    return [
        asyncio.run(
            kept_responses.keep(
                callers[call["user"]], call["response"], call["input"], call.get("previous")
            )
        )
        for call in calls
    ]


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
