"""The signals that the gateway sends.

Receivers run in the recorder's thread, after the response; their errors are logged. Every signal is
sent at most once, and not at all if the process is killed between the database's commit and the
signal.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["budget_threshold", "key_used_first_time", "limit_reached", "usage_recorded"]

usage_recorded = Signal()
"""A usage record is in the database. `sender` is `UsageRecord`; `entry` is the
`usage.entry.UsageEntry`, which must not be changed."""

key_used_first_time = Signal()
"""An API key was used for the first time ever. `sender` is `ApiKey`; `key_id` is its primary key,
`at` the time of the use."""

limit_reached = Signal()
"""A limit refused a call, for the first time in its window and in this process. `sender` is
`Limit`; `limit` is a dictionary with `subject`, `metric`, `window`, `models`, `amount` and
`starts_at`; `entry` is the `UsageEntry` of the call, which must not be changed."""

budget_threshold = Signal()
"""The use of a budget in the database reached its threshold, for the first time in its window.
`sender` is `Budget`; `budget` is the current row, `used` and `amount` are in its units, `threshold`
in percent."""
