"""What services say of themselves, fit to be told on: without secrets, and short."""

from __future__ import annotations

import re
from collections.abc import Iterable

REDACTED = "…"

_USER_INFO = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/?#\"'<>]*@", re.IGNORECASE)
_QUERY = re.compile(r"([a-z][a-z0-9+.-]*://[^\s?#\"'<>]*)\?([^\s#\"'<>]*)", re.IGNORECASE)
_VALUE = re.compile(r"=[^&;]*")


def redacted(text: str, secrets: Iterable[str], limit: int = 200) -> str:
    """`text` with "…" for every secret, for the user info of addresses in it and for the values of their queries; then
    cut to `limit` characters."""
    for secret in sorted(
        {one.strip() for one in secrets}, key=len, reverse=True
    ):  # one may be the beginning of another
        if secret:
            text = text.replace(secret, REDACTED)
    text = _USER_INFO.sub(rf"\1{REDACTED}@", text)
    text = _QUERY.sub(lambda match: f"{match[1]}?{_VALUE.sub('=' + REDACTED, match[2])}", text)
    return text if len(text) <= limit else text[: limit - 1] + REDACTED
