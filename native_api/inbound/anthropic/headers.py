"""The headers of responses in Anthropic's names:
https://platform.claude.com/docs/en/api/rate-limits#response-headers and /api/errors#request-id
(read 2026-11)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

OPENAI_PREFIX: Final = "x-ratelimit-"
DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def name_headers(headers: dict[str, str], now: datetime) -> dict[str, str]:
    """These headers with Anthropic's names. `now` is in UTC: Anthropic's have the time of a
    reset, OpenAI's the time that is left (`6m0s`)."""
    named = {"request-id": headers["x-request-id"]} if "x-request-id" in headers else {}
    for name, value in headers.items():
        if not name.startswith(OPENAI_PREFIX):
            named[name] = value
            continue
        part, _, kind = name.removeprefix(OPENAI_PREFIX).partition("-")
        named[f"anthropic-ratelimit-{kind}-{part}"] = (
            format_time(now, value) if part == "reset" else value
        )
    return named


def format_time(now: datetime, duration: str) -> str:
    """The end of a duration (`6m0s`) that begins now, in RFC 3339."""
    match = DURATION.fullmatch(duration)
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    end = now + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return f"{end:%Y-%m-%dT%H:%M:%SZ}"
