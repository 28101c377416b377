"""What services say of themselves, fit to be told on: without secrets, and short."""

from __future__ import annotations

import re
from collections.abc import Iterable

REDACTED = "…"

# of addresses, and of what only nearly is one: whoever misspells it is told so, with it
_USER_INFO = re.compile(r"//[^\s\"'<>]*@")
_QUERY_VALUE = re.compile(r"([?&][^=&#\s]+=)[^&#\s\"'<>]+")


def redacted(text: str, secrets: Iterable[str], limit: int = 200) -> str:
    """`text` with "…" for every secret, for the user info of addresses in it and for the values of their queries; then
    cut to `limit` characters."""
    for secret in sorted({one.strip() for one in secrets}, key=len, reverse=True):  # one may begin another
        if secret:
            text = text.replace(secret, REDACTED)
    text = _USER_INFO.sub(f"//{REDACTED}@", text)
    text = _QUERY_VALUE.sub(rf"\1{REDACTED}", text)
    return text if len(text) <= limit else text[: limit - 1] + REDACTED
