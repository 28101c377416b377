"""What can go wrong in this room."""

from __future__ import annotations


class StoreError(Exception):
    """Base of everything this room raises."""


class StoreUnavailable(StoreError):
    """Redis could not be reached for as long as a call may wait."""


class UnknownSession(StoreError):
    """There is no such session, or it ended long ago."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session {session_id} not found")
        self.session_id = session_id
