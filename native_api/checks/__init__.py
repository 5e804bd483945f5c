"""`manage.py check`: every misconfiguration that can be found without a call. Each has an id and a
hint.

Rules:
1. The checks are independent: an error that one of them reports must not make another one fail.
2. What rows decide, or a database that cannot be read, is a warning: an error stops `migrate`.
3. A check changes nothing: no file, no folder, no row.
"""

from native_api.checks import (  # noqa: F401
    caches,
    catalog,
    databases,
    journal,
    limits,
    settings,
    versions,
)
