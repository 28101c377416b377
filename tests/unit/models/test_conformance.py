"""What every adapter must do, whatever is behind it: opentalking/models/adapter.py, asked of each case of cases.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings
from opentalking.models.adapter import AvatarState, BatchingAdapter, LateAdapter, ModelAdapter
from opentalking.models.registry import list_models
from opentalking.types import FPS, FRAME_MS, MODEL_RATE, MODEL_SAMPLES, AudioChunk, UInt8, i420_shape
from tests.unit.models.cases import CASES, Case
from tests.unit.models.driver import Driver, idle_loop
from tests.unit.models.portrait.speech import speak

LEAST_TURN = 8  # chunks
AT_REST = 3.0  # levels, mean over a block of 16 x 16: not seen as a jump
_BLOCK = 16


@dataclass
class Subject:
    """A loaded adapter, its avatar with the idle loop it was given, and what it made of one turn alone."""

    case: Case
    adapter: ModelAdapter
    avatar: AvatarState
    idle: UInt8
    drivers: list[Driver] = field(default_factory=list)
    _alone: dict[str, UInt8] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """Chunks after which the first prediction is due."""
        return (self.adapter.chunk_ms + self.adapter.lookahead_ms) // FRAME_MS

    @property
    def chunks(self) -> int:
        """Of a turn: so many that predictions come before its end too."""
        return max(LEAST_TURN, self.first + self.adapter.chunk_ms // FRAME_MS)

    def said(self, words: str) -> list[AudioChunk]:
        return said(words, self.chunks)

    def driver(self) -> Driver:
        self.drivers.append(Driver(self.adapter, self.avatar))
        return self.drivers[-1]

    def alone(self, words: str) -> UInt8:
        """The pictures of that turn, from pose 0, by a session that did nothing else."""
        if words not in self._alone:
            driver = self.driver()
            self._alone[words] = driver.pictures(driver.turn(self.said(words)))
        return self._alone[words]

    def same(self, one: UInt8, other: UInt8) -> bool:
        if one.shape != other.shape:
            return False
        return bool(np.abs(one.astype(np.int16) - other).max(initial=0) <= self.case.tolerance)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    case: Case = request.param
    with case.loaded(tmp_path_factory.mktemp(case.name)) as adapter:
        avatar = adapter.load_avatar(PACKAGED / "presenter")
        idle = idle_loop(adapter, avatar)
        idle.setflags(write=False)
        adapter.use_idle_clip(avatar, idle)
        adapter.warmup(avatar)
        made = Subject(case, adapter, avatar, idle)
        yield made


@pytest.fixture(autouse=True)
def _closing(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test's sessions end with it, as those of users do: a server takes so many at once."""
    yield
    if "subject" in request.fixturenames:
        drivers = request.getfixturevalue("subject").drivers
        while drivers:
            drivers.pop().close()


ONE, OTHER = "My father bought a big boat.", "Wow, two blue moons, who knew?"


def said(words: str, chunks: int) -> list[AudioChunk]:
    """So much of it, without the silence in front."""
    spoken = speak(words).chunks()[2 : 2 + chunks]
    assert len(spoken) == chunks
    return spoken


def silence(chunks: int) -> list[AudioChunk]:
    return [AudioChunk(np.zeros(MODEL_SAMPLES, np.int16), MODEL_RATE)] * chunks


def blocks(difference: UInt8 | Any) -> Any:
    """Means over blocks of 16 x 16 of the luma of (…, height*3//2, width)."""
    luma = difference[..., : difference.shape[-2] * 2 // 3 // _BLOCK * _BLOCK, :]
    rows, columns = luma.shape[-2] // _BLOCK, luma.shape[-1] // _BLOCK
    cut = luma[..., : columns * _BLOCK].reshape(*luma.shape[:-2], rows, _BLOCK, columns, _BLOCK)
    return cut.astype(np.float64).mean(axis=(-3, -1))


def furthest(one: UInt8, other: UInt8) -> float:
    """How far two pictures are apart where they are furthest."""
    return float(blocks(np.abs(one.astype(np.int16) - other)).max())


def test_every_registered_model_is_asked() -> None:
    assert sorted(name for case in CASES for name in case.registered) == list_models(Settings())


def test_it_tells_what_it_is(subject: Subject) -> None:
    adapter, avatar = subject.adapter, subject.avatar
    assert isinstance(adapter, ModelAdapter)
    assert adapter.chunk_ms > 0 and adapter.chunk_ms % FRAME_MS == 0
    assert adapter.lookahead_ms >= 0 and adapter.lookahead_ms % FRAME_MS == 0
    assert (avatar.width, avatar.height, avatar.fps) == (512, 512, FPS)
    assert avatar.idle_frames >= 1


def test_there_is_one_prediction_a_chunk_however_long_the_turn(subject: Subject) -> None:
    driver, step = subject.driver(), subject.adapter.chunk_ms // FRAME_MS
    lengths = {
        1,
        2,
        step - 1,
        step,
        step + 1,
        subject.first - 1,
        subject.first,
        subject.first + 1,
        subject.first + step,
    }
    for chunks in sorted(lengths - {0}):
        assert len(driver.turn(said(ONE, chunks))) == chunks


def test_the_first_prediction_comes_when_chunk_and_lookahead_were_heard(subject: Subject) -> None:
    driver, step = subject.driver(), subject.adapter.chunk_ms // FRAME_MS
    late, chunks = isinstance(subject.adapter, LateAdapter), said(ONE, subject.first + step)
    for heard, chunk in enumerate(chunks, 1):
        driver.hear(chunk)
        due = (heard - subject.adapter.lookahead_ms // FRAME_MS) // step * step
        driver.wait_for(due)
        if heard < subject.first:
            assert driver.predictions == []
        else:
            assert len(driver.predictions) >= due
        assert late or len(driver.predictions) <= max(0, heard - subject.adapter.lookahead_ms // FRAME_MS)


def test_speech_is_seen(subject: Subject) -> None:
    spoken = subject.alone(ONE)
    moved = [furthest(picture, subject.idle[n % len(subject.idle)]) for n, picture in enumerate(spoken)]
    assert max(moved) > 2 * AT_REST
    assert not subject.same(spoken, subject.alone(OTHER)[: len(spoken)])


def test_a_finished_turn_leaves_nothing_to_the_next(subject: Subject) -> None:
    driver = subject.driver()
    driver.pictures(driver.turn(subject.said(OTHER)))
    assert subject.same(driver.pictures(driver.turn(subject.said(ONE))), subject.alone(ONE))


@pytest.mark.parametrize("drawn", [False, True])
def test_an_interrupted_turn_leaves_nothing_to_the_next(subject: Subject, drawn: bool) -> None:
    """In the middle of a chunk, with predictions that were made and not drawn, or drawn."""
    driver = subject.driver()
    for chunk in subject.said(OTHER)[: subject.first + 1]:
        driver.hear(chunk)
    if drawn:
        driver.wait_for(1)
        driver.pictures(driver.predictions)
    driver.reset()
    assert subject.same(driver.pictures(driver.turn(subject.said(ONE))), subject.alone(ONE))


def test_a_turn_that_is_interrupted_before_its_first_prediction_is_forgotten(subject: Subject) -> None:
    driver = subject.driver()
    driver.reset()
    driver.hear(subject.said(OTHER)[0])
    driver.reset()
    driver.reset()
    assert subject.same(driver.pictures(driver.turn(subject.said(ONE))), subject.alone(ONE))


def test_two_sessions_of_an_avatar_do_not_touch_each_other(subject: Subject) -> None:
    drivers, words = (subject.driver(), subject.driver()), (ONE, OTHER)
    pictures: list[list[UInt8]] = [[], []]
    for pair in zip_longest(*(subject.said(text) for text in words)):
        for driver, chunk, drawn in zip(drivers, pair, pictures, strict=True):
            if chunk is not None:
                driver.hear(chunk)
            _draw_new(driver, drawn)
    for driver, drawn in zip(drivers, pictures, strict=True):
        driver.hear(None)
        _draw_new(driver, drawn)
    for text, drawn in zip(words, pictures, strict=True):
        assert subject.same(np.concatenate(drawn), subject.alone(text))


def _draw_new(driver: Driver, drawn: list[UInt8]) -> None:
    """Those predictions that were not drawn yet."""
    done = sum(len(some) for some in drawn)
    drawn.append(driver.pictures(driver.predictions[done:], done))


def test_a_picture_is_written_whole_and_nowhere_else(subject: Subject) -> None:
    driver = subject.driver()
    prediction = driver.turn(said(ONE, 6))[3]
    shape = i420_shape(subject.avatar.width, subject.avatar.height)
    size, margin = int(np.prod(shape)), 100
    written = []
    for before in (0, 255):
        memory = np.full(size + 2 * margin, before, np.uint8)
        driver.adapter.compose_frame(driver.stream, 3, prediction, memory[margin:-margin].reshape(shape))
        assert (memory[:margin] == before).all() and (memory[-margin:] == before).all()
        written.append(memory[margin:-margin])
    assert np.array_equal(*written)


def test_the_idle_loop_has_no_seam(subject: Subject) -> None:
    steps = [furthest(one, other) for one, other in zip(subject.idle, np.roll(subject.idle, -1, axis=0), strict=True)]
    assert steps[-1] <= max(steps[:-1], default=0.0)


def test_the_idle_loop_is_the_same_whoever_speaks(subject: Subject) -> None:
    subject.alone(ONE)
    again = np.full_like(subject.idle[0], 9)
    subject.adapter.idle_frame(subject.avatar, 11, again)
    assert np.array_equal(again, subject.idle[11 % len(subject.idle)])


def test_a_turn_joins_the_idle_loop_without_a_jump(subject: Subject) -> None:
    """Its first and last picture, of a mouth that rests, are near those of the loop: nearer than the idle loop's own
    steps, or than what is shown in between by a model that draws a resting mouth otherwise than the picture has it."""
    driver = subject.driver()
    drawn = driver.pictures(driver.turn(silence(subject.chunks)))
    apart = [furthest(picture, subject.idle[n % len(subject.idle)]) for n, picture in enumerate(drawn)]
    allowed = max(AT_REST, 0.5 * max(apart))
    assert apart[0] <= allowed and apart[-1] <= allowed


def test_sound_at_another_rate_is_refused(subject: Subject) -> None:
    stream = subject.driver().stream
    with pytest.raises(ValueError, match=r"16000 Hz.* not .*48000"):
        subject.adapter.extract_features(AudioChunk(np.zeros(1920, np.int16), 48_000), stream)


def test_a_batch_gives_what_each_would_give_alone(subject: Subject) -> None:
    adapter = subject.adapter
    if not isinstance(adapter, BatchingAdapter):
        return
    drivers = [subject.driver() for _ in range(min(3, adapter.max_batch))]
    words = [ONE, OTHER, ONE][: len(drivers)]
    ahead = 5  # chunks that the last session is behind the others
    sounds: list[list[AudioChunk | None]] = [[*subject.said(text), None] for text in words]
    for turn in range(subject.chunks + 1 + ahead):
        work = []
        for number, (driver, sound) in enumerate(zip(drivers, sounds, strict=True)):
            at = turn - ahead if number == len(drivers) - 1 else turn
            if 0 <= at < len(sound):
                work.append((driver, adapter.extract_features(sound[at], driver.stream)))
        found = adapter.infer_batch([(features, driver.stream) for driver, features in work])
        for (driver, _), predictions in zip(work, found, strict=True):
            driver.predictions += predictions
    for driver, text in zip(drivers, words, strict=True):
        assert subject.same(driver.pictures(driver.predictions), subject.alone(text))


def test_what_comes_late_comes_whole_and_in_order(subject: Subject) -> None:
    """Three turns in one breath: each complete, in order, and of its own sound."""
    if not isinstance(subject.adapter, LateAdapter):
        return
    driver = subject.driver()
    for text in (ONE, OTHER, ONE):
        assert subject.same(driver.pictures(driver.turn(subject.said(text))), subject.alone(text))
    assert not subject.adapter.arrived(driver.stream)
