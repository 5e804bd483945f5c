"""Images whose declared type is wrong, and parts with videos and sounds."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from native_api.dialects.shared.parts import correct_data_url, parse_data_url
from native_api.exceptions import UnsupportedField
from tests.cases import each
from tests.dialects.request_targets import TARGETS, build_body, build_target, walk

BYTES = {
    "image/png": b"\x89PNG\r\n\x1a\n0000",
    "image/jpeg": b"\xff\xd8\xff\xe0\0\0JFIF00",
    "image/gif": b"GIF89a000000",
    "image/webp": b"RIFF\x10\0\0\0WEBPVP8 ",
}
DATA = {kind: base64.b64encode(content).decode() for kind, content in BYTES.items()}
DECLARED = ("image/jpg", "image/png", "application/octet-stream", "", "IMAGE/JPEG")

TAKE_IMAGES = [
    name for name in TARGETS if name not in ("deepseek",) and not name.startswith("bedrock nova")
]


def image(url: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}


@each("declared", DECLARED)
@each("shown", BYTES)
def test_the_type_of_an_image_is_what_its_data_shows(declared: str, shown: str) -> None:
    url = f"data:{declared};base64,{DATA[shown]}"
    assert parse_data_url(url) == (shown, DATA[shown])
    assert correct_data_url(url) == f"data:{shown};base64,{DATA[shown]}"


@each("name", TAKE_IMAGES)
@each("shown", BYTES)
def test_every_wire_gets_the_type_that_the_data_shows(name: str, shown: str) -> None:
    sent = json.dumps(build_body(name, image(f"data:image/jpg;base64,{DATA[shown]}")))
    assert "image/jpg" not in sent
    assert DATA[shown] in sent
    if name != "ollama":  # which takes no type
        assert shown in sent or f'"format": "{shown[6:]}"' in sent


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/b.png",
        "data:image/png;base64,AAAA",
        "data:image/heic;base64,AAAA",
        f"data:image/png;base64,{DATA['image/png']}",
        "data:text/plain;base64," + base64.b64encode(b"GIF89a is a format").decode(),
        "data:image/png;base64,not base64!",
    ],
)
def test_a_type_that_the_data_does_not_deny_stays(url: str) -> None:
    assert correct_data_url(url) == url


def test_a_file_that_is_an_image_is_one() -> None:
    file = {"filename": "a.pdf", "file_data": DATA["image/jpeg"]}
    message = {"role": "user", "content": [{"type": "file", "file": file}]}
    assert build_body("anthropic", message)["messages"][0]["content"][0]["source"] == {
        "type": "base64",
        "media_type": "image/jpeg",
        "data": DATA["image/jpeg"],
    }


@each("name", ["anthropic", "anthropic_vertex", "bedrock claude"])
@each("declared", ["image/heic", "image/bmp", "image/svg+xml"])
def test_a_kind_of_image_that_claude_does_not_read_makes_it_unsuitable(
    name: str, declared: str
) -> None:
    with pytest.raises(UnsupportedField, match=declared.replace("+", "[+]")):
        build_body(name, image(f"data:{declared};base64,AAAA"))


# --- videos and sounds ---------------------------------------------------------------------------

VIDEO = "data:video/mp4;base64,AAAA"
SOUND = "data:audio/mpeg;base64,AAAA"


def part(kind: str, url: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": kind, kind: {"url": url}}]}


@pytest.mark.parametrize(
    ("name", "kind", "url", "expected"),
    [
        ("gemini", "video_url", VIDEO, {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}),
        ("gemini", "audio_url", SOUND, {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}}),
        (
            "vertex",
            "video_url",
            "https://a.example/film",
            {"fileData": {"fileUri": "https://a.example/film", "mimeType": "video/mp4"}},
        ),
        (
            "gemini",
            "video_url",
            "https://youtu.be/x",
            {"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}},
        ),
        (
            "bedrock nova",
            "video_url",
            VIDEO,
            {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
        ),
        ("vllm", "video_url", VIDEO, {"type": "video_url", "video_url": {"url": VIDEO}}),
        ("vllm", "audio_url", SOUND, {"type": "audio_url", "audio_url": {"url": SOUND}}),
        ("openrouter", "video_url", VIDEO, {"type": "video_url", "video_url": {"url": VIDEO}}),
        (
            "openai",
            "audio_url",
            SOUND,
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        ),
    ],
)
def test_a_video_or_sound_is_sent_where_the_wire_has_it(
    name: str, kind: str, url: str, expected: dict[str, Any]
) -> None:
    assert expected in list(walk(build_body(name, part(kind, url))))


@each("name", ["anthropic", "anthropic_vertex", "cohere", "ollama", "openai", "responses", "xai"])
def test_a_video_makes_every_other_target_unsuitable(name: str) -> None:
    target = TARGETS.get(name) or build_target(name, "grok-4")
    with pytest.raises(UnsupportedField, match="video_url") as caught:
        build_body(target, part("video_url", VIDEO))
    assert str(caught.value.param).startswith("messages[0].content[0]")


def test_a_sound_by_its_address_is_not_sent_to_openai() -> None:
    with pytest.raises(UnsupportedField, match="audio_url"):
        build_body("openai", part("audio_url", "https://a.example/a.mp3"))
