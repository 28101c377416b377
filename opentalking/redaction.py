"""What a service says of a failure, made fit to be told: without secrets, and not long."""

from __future__ import annotations

import re
from collections.abc import Iterable

_USER_INFO = re.compile(r"//[^\s\"'<>]*@")
_QUERY_VALUE = re.compile(r"([?&][^=&#\s]+=)[^&#\s'\"<>]+")


def redacted(text: str, secrets: Iterable[str], limit: int = 200) -> str:
    """The text with every secret replaced by "…", no user info or query values in its URLs, cut to `limit` characters.

    Secrets go first, the longest first: cut before, or in part, half of one would be left to read."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "…")
    text = _USER_INFO.sub("//", text)
    return _QUERY_VALUE.sub(r"\1…", text)[:limit]
