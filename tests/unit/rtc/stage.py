"""What the tests of this room share: a playout with everything around it in memory, and pictures to encode."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import cv2
import numpy as np

from opentalking.avatars.bundle import PACKAGED
from opentalking.rtc.idle import Face
from opentalking.rtc.playout import AVSlot, Picture, Playout
from opentalking.slots import SlotFlags, SlotInfo
from opentalking.types import PACKET_SAMPLES, PLAYBACK_SAMPLES, Int16, UInt8, i420_shape

TINY = (16, 16)
IDLE_FRAMES = 7


def tiny_clip(frames: int = IDLE_FRAMES, shade: int = 20) -> UInt8:
    """An idle loop of flat pictures; frame n has the brightness `shade` + n."""
    clip = np.empty((frames, *i420_shape(*TINY)), np.uint8)
    for pose, frame in enumerate(clip):
        frame[:] = shade + pose
    return clip


def wave_of(generation: int, samples: int) -> Int16:
    """Sound whose every sample tells where it belongs: never zero, and no two turns alike."""
    return (np.arange(samples) * 7919 % 30_000 + generation).astype(np.int16)


def turn_of(generation: int, slots: int, wave: Int16 | None = None, first_pose: int = 3) -> list[AVSlot]:
    """One turn of one fragment, its pictures of brightness 200."""
    wave = wave_of(generation, slots * PLAYBACK_SAMPLES) if wave is None else wave
    frame = np.full(i420_shape(*TINY), 200, np.uint8)
    made = []
    for n in range(slots):
        flags = SlotFlags.NONE
        if n == 0:
            flags |= SlotFlags.TURN_START | SlotFlags.FRAGMENT_START
        if n == slots - 1:
            flags |= SlotFlags.TURN_END | SlotFlags.FRAGMENT_END
        info = SlotInfo(0, flags, n * PLAYBACK_SAMPLES, PLAYBACK_SAMPLES)
        pcm = wave[n * PLAYBACK_SAMPLES : (n + 1) * PLAYBACK_SAMPLES]
        made.append(AVSlot(generation, info, (first_pose + n) % IDLE_FRAMES, pcm, frame))
    return made


@dataclass
class Source:
    """The ring as the playout sees it."""

    generation: int = 0
    paused: int = 0
    slots: deque[AVSlot] = field(default_factory=deque)

    @property
    def depth(self) -> int:
        return len(self.slots)

    def front(self) -> AVSlot | None:
        while self.slots and self.slots[0].generation < self.generation:
            self.slots.popleft()
        if not self.slots:
            return None
        self.generation = self.slots[0].generation
        return self.slots[0]

    def advance(self) -> None:
        self.slots.popleft()


@dataclass
class Observer:
    """Keeps all that is reported; `now_heard` is what the current tick handed out."""

    told: list[tuple[Any, ...]] = field(default_factory=list)
    poses: list[int] = field(default_factory=list)
    video_timestamps: list[int] = field(default_factory=list)  # in the order of what was told with one
    cursor: tuple[int, int, int] = (0, 0, 0)
    now_heard: bool = False

    def fragment_started(self, generation: int, fragment: int, at: float, video_timestamp: int) -> None:
        self.told.append(("fragment", generation, fragment))
        self.video_timestamps.append(video_timestamp)

    def heard(self, generation: int, fragment: int, sample: int) -> None:
        self.cursor, self.now_heard = (generation, fragment, sample), True

    def progress(self, generation: int, fragment: int, sample: int, at: float) -> None:
        self.told.append(("progress", generation, fragment, sample))

    def turn_ended(self, generation: int, fragment: int, sample: int, at: float) -> None:
        self.told.append(("ended", generation, fragment, sample))

    def turn_cut(self, generation: int, fragment: int, sample: int, at: float) -> None:
        self.told.append(("cut", generation, fragment, sample))

    def paused(self, generation: int, fragment: int, sample: int, at: float, video_timestamp: int) -> None:
        self.told.append(("paused", generation, fragment, sample))
        self.video_timestamps.append(video_timestamp)

    def resumed(self, generation: int, fragment: int, sample: int, at: float, video_timestamp: int) -> None:
        self.told.append(("resumed", generation, fragment, sample))
        self.video_timestamps.append(video_timestamp)

    def posed(self, pose: int) -> None:
        self.poses.append(pose)

    def pauses(self) -> list[tuple[Any, ...]]:
        return [entry for entry in self.told if entry[0] in ("paused", "resumed")]

    def endings(self) -> list[tuple[Any, ...]]:
        return [entry for entry in self.told if entry[0] in ("ended", "cut")]


@dataclass(frozen=True)
class Tick:
    """What one packet's time brought. `spoken` is the part of the sound that was reported as heard."""

    picture: Picture | None
    pcm: Int16 | None
    spoken: Int16 | None

    @property
    def sound(self) -> Int16:
        return np.zeros(PACKET_SAMPLES, np.int16) if self.pcm is None else self.pcm


class Stage:
    """A playout and its surroundings."""

    def __init__(self, prebuffer: int = 2) -> None:
        self.source = Source()
        self.observer = Observer()
        self.playout = Playout(self.source, self.observer, Face(tiny_clip()), prebuffer, now=lambda: 1000.0)
        self.ticks: list[Tick] = []

    def arrive(self, *slots: AVSlot) -> None:
        self.source.slots.extend(slots)

    def pause(self, generation: int = 1) -> None:
        self.source.paused = generation

    def resume(self) -> None:
        self.source.paused = 0

    def interrupt(self, generation: int) -> None:
        self.source.generation = generation

    def tick(self) -> Tick:
        self.observer.now_heard = False
        picture, pcm = self.playout.tick(len(self.ticks))
        self.ticks.append(Tick(picture, pcm, pcm if self.observer.now_heard else None))
        return self.ticks[-1]

    def run(self, packets: int) -> None:
        for _ in range(packets):
            self.tick()

    def spoken(self) -> Int16:
        parts = [tick.spoken for tick in self.ticks if tick.spoken is not None]
        return np.concatenate([np.zeros(0, np.int16), *parts])

    def sound(self) -> Int16:
        return np.concatenate([tick.sound for tick in self.ticks])


@cache
def moving_face(frames: int, size: int = 160) -> UInt8:
    """I420 pictures of a real face that sways: (frames, size*3//2, size), a seamless loop."""
    picture = cv2.imread(str(PACKAGED / "presenter" / "reference.png"))
    assert picture is not None
    picture = cv2.resize(picture, (size + 24, size + 24), interpolation=cv2.INTER_AREA)
    made = []
    for n in range(frames):
        angle = 2 * np.pi * n / frames
        x, y = 12 + round(8 * np.sin(angle)), 12 + round(5 * np.sin(2 * angle))
        view = np.ascontiguousarray(picture[y : y + size, x : x + size])
        made.append(cv2.cvtColor(view, cv2.COLOR_BGR2YUV_I420))
    return np.stack(made)


def psnr(a: UInt8, b: UInt8) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures, dB."""
    error = float(np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))
