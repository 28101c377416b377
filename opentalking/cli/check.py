"""One finding of `opentalking doctor`, and of `up` before it starts."""

from __future__ import annotations

from typing import Literal

import msgspec


class Check(msgspec.Struct, frozen=True):
    """One finding. `mend` says what to do about a warning or a failure."""

    name: str
    level: Literal["ok", "warn", "fail"]
    message: str
    mend: str = ""
