"""Images, sound and files of a client's message -> canonical parts.

A part that only names a web address is also put on `remote`: somebody below fetches it and puts the bytes in its place.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from apiproxy.dialects.fields import as_object, as_text, wrong
from apiproxy.wire.types import Json
from gateway.lib.errors import InvalidRequest

_MIME_CORRECTIONS = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "audio/mp3": "audio/mpeg",
}
_MIME_OF_AUDIO_FORMAT = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "webm": "audio/webm",
    "aiff": "audio/aiff",
    "m4a": "audio/mp4",
    "pcm16": "audio/pcm",
    "g711": "audio/basic",
    "g711_ulaw": "audio/basic",
    "g711_alaw": "audio/basic",
}
_MIME_OF_EXTENSION = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "xml": "text/xml",
    "json": "application/json",
    "js": "text/javascript",
    "py": "text/x-python",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
    **{name: mime for name, mime in _MIME_OF_AUDIO_FORMAT.items() if name != "webm"},
}
_YOUTUBE_HOSTS = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"})
_URL_SAFE = str.maketrans("-_", "+/")
_ECHOED_IMAGE = re.compile(r"!\[[^\]\n]{0,200}\]\(data:image/[^()\s]*\)")
_LONGEST_DATA_URL_HEAD = 256


def inline(mime: str, data: str, at: str) -> Json:
    """`data` in base64 of either alphabet, padded or not, perhaps with line breaks."""
    text = "".join(data.split())
    if "-" in text or "_" in text:
        text = text.translate(_URL_SAFE)
    text += "=" * (-len(text) % 4)
    try:
        empty = not binascii.a2b_base64(text, strict_mode=True)
    except ValueError as exc:
        raise wrong(at, data, "base64 data") from exc
    if empty:
        raise wrong(at, data, "base64 data that is not empty")
    return {"inlineData": {"mimeType": _MIME_CORRECTIONS.get(mime, mime), "data": text}}


def from_url(url: str, at: str, remote: list[Json]) -> Json:
    """data:, http: and https: URLs; a YouTube address is kept, as the model watches it itself."""
    scheme = url[:8].lower()
    if scheme.startswith("data:"):
        return _from_data_url(url, at)
    if not scheme.startswith(("http://", "https://")):
        raise wrong(at, url, "a data: URL or a web address that begins with https://")
    part: Json = {"fileData": {"fileUri": url}}
    if _host(url, at) not in _YOUTUBE_HOSTS:
        remote.append(part)
    return part


def from_url_field(value: Any, at: str, remote: list[Json]) -> Json:
    """`{"url": …}` as the OpenAI dialect has it, or the bare string that some clients send."""
    if isinstance(value, str):
        return from_url(value, at, remote)
    return from_url(as_text(as_object(value, at).get("url"), f"{at}.url"), f"{at}.url", remote)


def from_audio(value: Any, at: str) -> Json:
    audio = as_object(value, at)
    given = as_text(audio.get("format"), f"{at}.format").lower()
    mime = _MIME_OF_AUDIO_FORMAT.get(given)
    if mime is None:
        raise wrong(f"{at}.format", given, "one of " + ", ".join(sorted(_MIME_OF_AUDIO_FORMAT)))
    data = as_text(audio.get("data"), f"{at}.data")
    if data[:5].lower() == "data:":
        return _from_data_url(data, f"{at}.data")
    return inline(mime, data, f"{at}.data")


def from_file(value: Any, at: str, remote: list[Json]) -> Json:
    file = as_object(value, at)
    if file.get("file_id") is not None:
        raise InvalidRequest(
            "uploaded files are not kept here: send the file itself as file_data",
            param=f"{at}.file_id",
        )
    data = as_text(file.get("file_data"), f"{at}.file_data")
    mime = _mime_of_name(file.get("filename"), f"{at}.filename")
    if ":" in data[:8]:
        part = from_url(data, f"{at}.file_data", remote)
        stored = part.get("inlineData")
        if stored and mime and stored["mimeType"] in ("application/octet-stream", ""):
            stored["mimeType"] = mime
        return part
    if not mime:
        raise wrong(f"{at}.filename", file.get("filename"), "a file name with a known extension")
    return inline(mime, data, f"{at}.file_data")


def without_echoed_images(text: str) -> str:
    """Pictures that an earlier answer carried as markdown: as text they would cost a fortune in tokens."""
    if "](data:image/" not in text:
        return text
    return _ECHOED_IMAGE.sub("[image]", text)


def _from_data_url(url: str, at: str) -> Json:
    head, comma, data = url[5:].partition(",")
    if not comma or len(head) > _LONGEST_DATA_URL_HEAD:
        raise wrong(at, url, "a data: URL of the form data:<type>;base64,<data>")
    mime, *parameters = (word.strip().lower() for word in head.split(";"))
    if "base64" not in parameters:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return inline(mime or "text/plain", data, at)


def _mime_of_name(name: Any, at: str) -> str:
    if name is None:
        return ""
    return _MIME_OF_EXTENSION.get(as_text(name, at).rpartition(".")[2].lower(), "")


def _host(url: str, at: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError as exc:
        raise wrong(at, url, "a valid web address") from exc
    if not host:
        raise wrong(at, url, "a valid web address")
    return host
