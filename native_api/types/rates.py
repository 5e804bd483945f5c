"""How a rate of requests is written: `60/m`, `10/30s`."""

from __future__ import annotations

import re
from typing import Final

RATE: Final = re.compile(r"([0-9]{1,9})/([1-9][0-9]{0,4})?([smhd])")
PERIOD_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_rate(text: str) -> tuple[int, int]:
    """Number of requests and seconds: `60/m` is (60, 60), `10/30s` is (10, 30).

    `0/s` allows no request. Raises ValueError.
    """
    match = RATE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a valid rate. Write it as 60/m or 10/30s: a number, a slash, and "
            "s, m, h or d."
        )
    return int(match[1]), int(match[2] or 1) * PERIOD_SECONDS[match[3]]
