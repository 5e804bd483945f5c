"""Contents of Responses as unified contents: the parts that every API has in some form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from native_api.inbound.checks import MAX_SHOWN, FieldError
from native_api.inbound.openai.chat_messages import file as check_file
from native_api.inbound.openai.chat_messages import url as check_url
from native_api.inbound.translation import Report, simplify_content
from native_api.types import Json

TEXTS: Final = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
FILE_MEMBERS: Final = ("file_data", "file_id", "file_url", "filename")
BREAKPOINT: Final = "prompt_cache_breakpoint"


def refuse_kind(report: Report, path: str, kind: str) -> None:
    """Refuse what only this API has, by its type."""
    report.refuse(f"{path}.type", f"only the API of Responses has {kind[:MAX_SHOWN]!r}")


def unify_content(
    content: Any, path: str, report: Report, text_only: bool = False
) -> str | list[Json]:
    """A string, or unified parts.

    Raises FieldError for a wrong value.
    """
    if isinstance(content, str):
        return content
    found = [
        unify_part(part, f"{path}[{index}]", report, text_only)
        for index, part in enumerate(content or ())
    ]
    return simplify_content([part for part in found if part is not None])


def unify_part(part: Json, path: str, report: Report, text_only: bool = False) -> Json | None:
    """The unified part; None for one that no other API has, which is refused."""
    kind = part["type"]
    build = PARTS.get(kind)
    if build is None:
        refuse_kind(report, path, kind)
        return None
    built = build(part, path)
    if text_only and built["type"] != "text":
        report.refuse(f"{path}.type", "instructions to other APIs' models are text only")
        return None
    if built["type"] == "file" and part.get("detail") not in (None, "auto"):
        report.omit("input.content.detail")
    mark = part.get(BREAKPOINT) or {}
    if mark.get("mode") == "explicit":
        built[BREAKPOINT] = {name: mark[name] for name in ("mode", "ttl") if mark.get(name)}
    return built


def _build_text(part: Json, path: str) -> Json:
    return {"type": "text", "text": part["text"]}


def _build_refusal(part: Json, path: str) -> Json:
    return {"type": "text", "text": part["refusal"]}


def _build_image(part: Json, path: str) -> Json:
    if not part.get("image_url"):
        if part.get("file_id"):
            return {"type": "file", "file": {"file_id": part["file_id"]}}
        raise FieldError(f"{path}.image_url", "this field is required, or file_id")
    image = {"url": check_url(part["image_url"], f"{path}.image_url")}
    if part.get("detail"):
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}


def _build_file(part: Json, path: str) -> Json:
    members = {name: part[name] for name in FILE_MEMBERS if part.get(name)}
    return {"type": "file", "file": check_file(members, path)}


def _build_sound(part: Json, path: str) -> Json:
    return {"type": "input_audio", "input_audio": part["input_audio"]}


PARTS: Final[Mapping[str, Callable[[Json, str], Json]]] = {
    **dict.fromkeys(TEXTS, _build_text),
    "refusal": _build_refusal,
    "input_image": _build_image,
    "computer_screenshot": _build_image,
    "input_file": _build_file,
    "input_audio": _build_sound,
}
"""Type of a part -> what builds the unified one."""
