"""What a speech worker offers, and the names by which it may be asked for."""

from __future__ import annotations

import pytest

from api.errors import ApiError
from api.offers import require_voice
from opentalking.store import WorkerBeat


def speech(*engines: str) -> list[WorkerBeat]:
    tts = {name: {"available": True, "reason": "", "any_voice": True} for name in engines}
    info = {"tts": tts, "default_tts": "piper", "voices": []}
    beat = WorkerBeat(worker="a:s", role="speech", node="a", pid=1, incarnation="1", started_at=0.0, info=info)
    return [beat]


@pytest.mark.parametrize(
    ("asked", "named"),
    [(None, ""), ("dashscope", "dashscope"), ("qwen", "dashscope"), ("bailian", "dashscope"), ("auto", "")],
)
def test_the_originals_names_of_engines_are_told_by_ours(asked: str | None, named: str) -> None:
    assert require_voice(speech("piper", "dashscope"), asked, None) == named


def test_a_plugin_of_such_a_name_is_meant_itself() -> None:
    assert require_voice(speech("qwen", "auto"), "qwen", None) == "qwen"
    assert require_voice(speech("qwen", "auto"), "auto", None) == "auto"


def test_an_engine_that_is_not_there_is_told_by_our_name() -> None:
    with pytest.raises(ApiError, match="no 'dashscope'; known: piper"):
        require_voice(speech("piper"), "qwen", None)
