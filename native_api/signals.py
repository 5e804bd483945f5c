"""What the gateway tells the site. Receivers run in the recorder's thread, behind the requests; what they raise is logged.

Both are told at most once: not at all where the process is killed between the database's commit and the signal.
"""

from __future__ import annotations

from django.dispatch import Signal

usage_recorded = Signal()
"""A usage record is in the database. `sender` is `UsageRecord`; `entry` is the `usage.entry.UsageEntry`, to be read only."""

key_used_first_time = Signal()
"""An API key was used that never had been. `sender` is `ApiKey`; `key_id` is its primary key, `at` the time of the use."""
