"""How a turn's failure is told: what is the client's to know of it, as codes and in words."""

from __future__ import annotations

from dataclasses import dataclass

from opentalking.llm.base import LLMError
from opentalking.tts.base import TTSError
from workers.turn import NothingToSay, Turn


@dataclass(frozen=True, slots=True)
class Failure:
    """`code` names the stage; `reason` is the stage's own code, "" if it has none."""

    code: str
    message: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" ({self.reason})" if self.reason else "")


def failure_of(turn: Turn, error: Exception) -> Failure:
    """Of an error that nobody foresaw only its kind is told: its words are for the log."""
    if isinstance(error, LLMError):
        return Failure("LLM_FAILED", str(error), error.code)
    if isinstance(error, TTSError):
        return Failure("TTS_FAILED", str(error), error.code)
    if isinstance(error, NothingToSay):
        return Failure("NOTHING_TO_SAY", str(error))
    return Failure("CHAT_FAILED" if turn.kind == "chat" else "SPEAK_FAILED", f"unforeseen: {type(error).__name__}")
