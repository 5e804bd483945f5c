"""An exclusive lock on an open file. The system releases it when the process ends, in any way."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt

    LOCK_OFFSET = 2**40

    def try_lock(descriptor: int) -> bool:
        """Take the lock without waiting; False if another process has it."""
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            # Locks are mandatory on Windows, so the locked byte is one that nobody reads.
            os.lseek(descriptor, LOCK_OFFSET, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, position, os.SEEK_SET)
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Take the lock without waiting; False if another process has it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
