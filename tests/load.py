"""How heavy the tests are that put a load on processes: TEST_LOAD times as heavy as in everyday runs.
`.ci/full` sets it."""

from __future__ import annotations

import os

LOAD = int(os.environ.get("TEST_LOAD", "1"))
