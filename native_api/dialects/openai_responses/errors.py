"""Failed and unfinished responses of the Responses API."""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.shared.errors import build_error, read_status
from native_api.exceptions import UpstreamError
from native_api.types import Json

FAILED_STATUSES: Final = frozenset({"failed", "cancelled", "canceled"})
UNFINISHED_STATUSES: Final = frozenset({"queued", "in_progress"})


def raise_failure(response: Json) -> None:
    """Raise UpstreamError if the response failed or was cancelled."""
    if response.get("error") or response.get("status") in FAILED_STATUSES:
        raise read_reply_error(
            response.get("error") or {"message": f"the response is {response.get('status')}"}
        )


def read_unfinished_state(response: Any) -> str:
    """`queued` or `in_progress` if the response has no output yet, "" otherwise.

    A provider that answers in the background sends only this state.
    """
    is_unfinished = (
        isinstance(response, dict)
        and response.get("status") in UNFINISHED_STATUSES
        and not response.get("output")
    )
    return str(response["status"]) if is_unfinished else ""


def read_reply_error(detail: Any) -> UpstreamError:
    """The error of a response's `error`, or of an `error` event."""
    if isinstance(detail, dict) and isinstance(detail.get("error"), dict):
        detail = detail["error"]
    if not isinstance(detail, dict):
        detail = {"message": str(detail)}
    return build_error(read_status(detail), detail, {})
