"""Several sessions in one pass of a model that batches, and a model that answers from elsewhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from opentalking.models.adapter import BatchingAdapter, LateAdapter, ModelError
from opentalking.types import AudioChunk
from tests.support.mirror import MirrorAdapter, MirrorAvatar, colour, reading
from tests.unit.workers.test_render import Around, sound_of, voice
from workers.inference import _companions
from workers.render import hear_together

SIDE = 64


class Batching(MirrorAdapter):
    """The mirror, which notes how many streams shared a pass."""

    max_batch = 3

    def __init__(self) -> None:
        self.passes: list[int] = []

    def open_stream(self, avatar: MirrorAvatar) -> Any:
        return [avatar]  # another for each session

    def compose_frame(self, stream: Any, pose: int, prediction: tuple[int, int, int], out: Any) -> None:
        super().compose_frame(stream[0], pose, prediction, out)

    def infer_batch(self, work: Sequence[tuple[Any, Any]]) -> list[list[Any]]:
        assert len({id(stream) for _, stream in work}) == len(work)
        self.passes.append(len(work))
        return [self.infer(*one) for one in work]


class Elsewhere(MirrorAdapter):
    """The mirror on another machine: takes four chunks, and answers when the test lets it."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answers: list[Any] = []
        self.lost: ModelError | None = None
        self.closed = 0
        self.wake: Callable[[], None] = lambda: None

    def listen(self, stream: Any, wake: Callable[[], None]) -> None:
        self.wake = wake

    def can_take(self, stream: Any) -> bool:
        return len(self.asked) < 4

    def arrived(self, stream: Any) -> bool:
        return bool(self.answers) or self.lost is not None

    def collect(self, stream: Any) -> list[Any]:
        lost, self.lost = self.lost, None
        if lost is not None:
            raise lost
        answers, self.answers = self.answers, []
        return answers

    def close_stream(self, stream: Any) -> None:
        self.closed += 1

    def infer(self, features: AudioChunk | None, stream: MirrorAvatar) -> list[tuple[int, int, int]]:
        if features is not None:
            self.asked.append(colour(features))
        return []

    def reset(self, stream: Any) -> None:
        self.asked.clear()
        self.answers.clear()

    def answer(self, count: int) -> None:
        """From the network's thread."""
        self.answers += [self.asked.pop(0) for _ in range(count)]
        caller = threading.Thread(target=self.wake)
        caller.start()
        caller.join()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[Elsewhere, Around]]:
    adapter = Elsewhere()
    assert isinstance(adapter, LateAdapter)
    around = Around(adapter, MirrorAvatar(SIDE, SIDE), tmp_path)  # type: ignore[arg-type]
    yield adapter, around
    around.close()


async def test_sessions_of_a_model_that_batches_hear_in_one_pass(tmp_path: Path) -> None:
    adapter = Batching()
    assert isinstance(adapter, BatchingAdapter)
    crowd = [Around(adapter, MirrorAvatar(SIDE, SIDE), tmp_path / str(n)) for n in range(4)]  # type: ignore[arg-type]
    voices = [voice(6, seed=n) for n in range(4)]
    for around, pcm in zip(crowd, voices, strict=True):
        around.say(1, pcm)
    while ready := [around.session for around in crowd if around.session.can_progress()]:
        together = _companions(ready)
        if len(together) > 1:
            await hear_together(together, crowd[0].on_device)
        else:
            await together[0].step(crowd[0].on_device)
    assert adapter.passes and max(adapter.passes) == 3
    for around, pcm in zip(crowd, voices, strict=True):
        frames = around.take_all()
        assert sound_of(frames).tobytes() == pcm.tobytes()
        for frame in frames:  # each sees its own sound, and nobody else's
            loud = bool(frame.pcm.any())
            assert (reading(frame.picture).loudness > 0.5) == loud
        around.close()


async def test_a_session_that_has_something_to_draw_is_not_made_to_hear(tmp_path: Path) -> None:
    adapter = Batching()
    crowd = [Around(adapter, MirrorAvatar(SIDE, SIDE), tmp_path / str(n)) for n in range(2)]  # type: ignore[arg-type]
    for around in crowd:
        around.say(1, voice(4))
    sessions = [around.session for around in crowd]
    assert _companions(sessions) == sessions
    await hear_together(sessions[:1], crowd[0].on_device)
    assert _companions(sessions) == sessions[:1]
    assert _companions(sessions[::-1]) == sessions[1:]
    for around in crowd:
        around.close()


async def test_what_is_answered_late_is_drawn_in_order_with_its_own_sound(elsewhere: tuple[Elsewhere, Around]) -> None:
    adapter, around = elsewhere
    woken = asyncio.Event()
    around.session.listen(woken.set)
    pcm = voice(10)
    around.say(1, pcm)
    await around.render()
    assert len(adapter.asked) == 4 and around.av.depth == 0 and around.speech.depth == 6
    for count in (1, 3, 2, 4):
        woken.clear()
        adapter.answer(count)
        await woken.wait()
        await around.render()
    frames = around.take_all()
    assert sound_of(frames).tobytes() == pcm.tobytes()
    for frame in frames:
        assert (reading(frame.picture).loudness > 0.5) == bool(frame.pcm.any())


async def test_an_answer_to_a_turn_that_is_over_is_not_drawn(elsewhere: tuple[Elsewhere, Around]) -> None:
    adapter, around = elsewhere
    around.session.listen(lambda: None)
    around.say(1, voice(4))
    await around.render()
    around.rtc.raise_generation(2)
    await around.render()
    assert (adapter.asked, adapter.answers) == ([], [])
    second = voice(3, seed=2)
    around.say(2, second)
    await around.render()
    adapter.answer(3)
    await around.render()
    frames = around.take_all()
    assert {frame.generation for frame in frames} == {2}
    assert sound_of(frames).tobytes() == second.tobytes()


async def test_a_turn_that_is_lost_elsewhere_is_told_once(elsewhere: tuple[Elsewhere, Around]) -> None:
    adapter, around = elsewhere
    around.say(1, voice(4))
    await around.render()
    adapter.lost = ModelError("the server went away", reason="omnirt_unavailable")
    assert around.session.can_progress()
    with pytest.raises(ModelError, match="the server went away"):
        await around.session.step(around.on_device)
    around.session.abandon_turn()
    assert not around.session.can_progress()


async def test_its_connection_is_let_go_with_the_session(tmp_path: Path) -> None:
    adapter = Elsewhere()
    around = Around(adapter, MirrorAvatar(SIDE, SIDE), tmp_path)  # type: ignore[arg-type]
    around.close()
    assert adapter.closed == 1
