"""What the gateway tells the site. Receivers run in the recorder's thread, behind the requests;
what they raise is logged.

All are told at most once: not at all where the process is killed between the database's commit and
the signal.
"""

from __future__ import annotations

from django.dispatch import Signal

usage_recorded = Signal()
"""A usage record is in the database. `sender` is `UsageRecord`; `entry` is the
`usage.entry.UsageEntry`, to be read only."""

key_used_first_time = Signal()
"""An API key was used that never had been. `sender` is `ApiKey`; `key_id` is its primary key, `at`
the time of the use."""

limit_reached = Signal()
"""A limit refused a call, the first in its window and in this process. `sender` is `Limit`; `limit`
is a dictionary with `subject`, `metric`, `window`, `models`, `amount` and `starts_at`; `entry` is
the `UsageEntry` of the call, to be read only."""

budget_threshold = Signal()
"""A budget in the database was used up to its threshold, for the first time in its window. `sender`
is `Budget`; `budget` is the row as it then is, `used` and `amount` are in its units, `threshold` in
percent."""
