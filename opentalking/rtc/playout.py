"""What is heard and seen next: the one place that decides, packet by packet, between speech and the idle face.

      idle ── a slot waits, prebuffered ──> speaking(g) ── last slot of the turn handed out ──> idle
       ^ ^      (and paused is not g)         │ │ ^ │ ^
       │ │                                    │ │ │ │ └── no slot in time: idle face and silence, then on with the
       │ └── generation raised above g: cut ──┘ │ │ └──── next slot (nothing is skipped and nothing is hurried)
       │                                        │ │
       │                 paused is g, at whatever │ paused is not g any more: on with the next sample,
       │                   packet: stop before it │ which may be in the middle of a frame
       │                                        v │
       └──── generation raised above g: cut ── held(g): idle face and silence

A frame's sound goes out as two packets of 20 ms, and the generation is looked at before each: an interruption is obeyed
within a packet, by sound and picture. A turn need not wait for the idle face's 40 ms to be over either: speech may
begin with any packet, and the picture then on show lasts 20 ms. Where sound stops in mid-wave (a cut, a starved buffer)
the next packet decays from the last sample in 5 ms instead of clicking. The picture falls back to the idle face over
one between the two that lasts 20 ms, from the head's last pose. A turn that holds still (somebody speaks, and may mean
it) looks and sounds as if cut, but its slots stay unread and its cursor stays. So does the head, for the pictures in
these slots were rendered for the poses that follow. When the turn goes on, its first 5 ms fade in.

Another face (`follow`) comes with a source of its own, from which a turn in progress goes on: what the source before it
holds is played first, and the first picture after that is the new face's. Sound and clock know nothing of it.

The cursor (generation, fragment, sample) is what was handed to RTP. It is reported here and known nowhere else.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from opentalking.rtc.idle import Face
from opentalking.slots import SlotFlags, SlotInfo
from opentalking.types import FPS, PACKET_SAMPLES, PLAYBACK_RATE, PLAYBACK_SAMPLES, Int16, UInt8

_DECAY = np.linspace(1.0, 0.0, PLAYBACK_RATE * 5 // 1000, endpoint=False, dtype=np.float32)
_RISE = 1.0 - _DECAY
_FALLBACK = (0.55,)  # share of the idle face in the first frames after speech; then idle alone
_PIXEL_BUFFERS = 6  # one is being made, four are on their way through the encoder, one is to spare


@dataclass(frozen=True, slots=True)
class AVSlot:
    """One frame and its sound, as read from the ring: views that live until `advance`."""

    generation: int
    info: SlotInfo
    pose: int
    pcm: Int16
    frame: UInt8


class SlotSource(Protocol):
    """Where AV slots come from; never gives one older than `generation`. `paused` is the turn that is to hold still."""

    @property
    def generation(self) -> int: ...
    @property
    def paused(self) -> int: ...
    @property
    def depth(self) -> int: ...
    def front(self) -> AVSlot | None: ...
    def advance(self) -> None: ...


class PlayoutObserver(Protocol):
    """Who is told what was handed to RTP. `sample` counts within the fragment at 48 kHz, `at` is Unix time,
    `video_timestamp` that of the picture which goes out with it."""

    def fragment_started(self, generation: int, fragment: int, at: float, video_timestamp: int) -> None: ...
    def heard(self, generation: int, fragment: int, sample: int) -> None: ...
    def progress(self, generation: int, fragment: int, sample: int, at: float) -> None: ...
    def turn_ended(self, generation: int, fragment: int, sample: int, at: float) -> None: ...
    def turn_cut(self, generation: int, fragment: int, sample: int, at: float) -> None: ...
    def paused(self, generation: int, fragment: int, sample: int, at: float, video_timestamp: int) -> None: ...
    def resumed(self, generation: int, fragment: int, sample: int, at: float, video_timestamp: int) -> None: ...
    def posed(self, pose: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Picture:
    """What to show: `pixels` uint8 I420 (a buffer that stays untouched for five more frames), or None for the plain
    idle `face` at `pose`."""

    pose: int
    pixels: UInt8 | None
    face: Face


@dataclass(frozen=True, slots=True)
class _Following:
    """A face that waits for its turn, its source, and who is told when it is shown."""

    source: SlotSource
    face: Face
    shown: Callable[[], None]


class Playout:
    """A session's playout: one `tick` a packet of 20 ms, all from one thread."""

    def __init__(
        self,
        source: SlotSource,
        observer: PlayoutObserver,
        face: Face,
        prebuffer_slots: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._observer = observer
        self._following: deque[_Following] = deque()
        self._prebuffer = max(1, prebuffer_slots)
        self._now = now
        self.pose = 0
        self._wear(face)
        self._half = 0  # which packet of the current frame is next
        self._turn = 0  # generation that is playing; 0: none
        self._info: SlotInfo | None = None  # of the slot that is playing; None: silence
        self._pcm = np.zeros(PLAYBACK_SAMPLES, np.int16)
        self._spoken_picture = Picture(0, None, face)  # that slot's
        self._held = False  # whether the turn holds still
        self._rest: SlotInfo | None = None  # of the slot that it was stopped in the middle of
        self._rises = False  # whether the next sound fades in
        self._video_timestamp = 0  # of a picture that begins now
        self._heard = (0, 0)  # fragment, sample
        self._handed_at = 0.0  # when the last speech packet was handed out
        self._last_sample = 0
        self._awaited = 0  # generation of the turn that waits for its prebuffer
        self._waited = 0  # frames that it has waited
        self._frames = 0
        self.starved = 0  # frames that came too late

    @property
    def speaking(self) -> bool:
        return self._turn != 0

    def follow(self, source: SlotSource, face: Face, shown: Callable[[], None]) -> None:
        """Another face, once the slots of the source before it are used up; nothing may be added to those any more."""
        self._following.append(_Following(source, face, shown))

    def _follow(self) -> None:
        """Change the face if it is time. A turn that holds still goes on, or is cut, with the one that it had."""
        while self._following and not self._held and self._source.front() is None:
            following = self._following.popleft()
            self._source = following.source
            self._wear(following.face)
            following.shown()

    def _wear(self, face: Face) -> None:
        self.face = face
        self._buffers = [np.empty(face.clip.shape[1:], np.uint8) for _ in range(_PIXEL_BUFFERS)]
        self._buffer = 0
        self.pose %= len(face.clip)
        self._fallback = len(_FALLBACK)  # frames since speech ended
        self._between = False  # whether the picture on show lies between speech and the idle face

    def tick(self, video_timestamp: int = 0) -> tuple[Picture | None, Int16 | None]:
        """The next 20 ms: a picture if one begins with it, and sound, int16 (960,) at 48 kHz, or None for silence.

        `video_timestamp` is what a picture that begins now will carry."""
        self._video_timestamp = video_timestamp
        picture = None
        if self._turn and not self._is_cut() and self._held != (self._source.paused == self._turn):
            picture = self._go_on() if self._held else self._hold()
        elif self._half == 0 or self._between or self._is_cut() or self._may_begin():
            self._half = 0
            picture = self._step()
        packet = self._packet(self._half)
        self._half ^= 1
        return picture, packet

    def _hold(self) -> Picture:
        """Stop before the next packet."""
        self._held, self._rest, self._info, self._half = True, self._info, None, 0
        self._observer.paused(self._turn, *self._heard, self._now(), self._video_timestamp)
        return self._step()

    def _go_on(self) -> Picture:
        """With the rest of the slot that it was stopped in, or with the next one."""
        self._held, self._rises = False, True
        self._observer.resumed(self._turn, *self._heard, self._now(), self._video_timestamp)
        self._between, self._info, self._rest = False, self._rest, None
        self._half = 0 if self._info is None else 1
        return self._step() if self._info is None else self._speech_picture(self._spoken_picture)

    def _is_cut(self) -> bool:
        """Whether the turn that plays is over for everybody."""
        return 0 < self._turn < self._source.generation

    def _may_begin(self) -> bool:
        """Whether a turn is ready to begin in the middle of an idle picture."""
        if self._turn:
            return False
        slot = self._source.front()
        return slot is not None and not self._must_wait(slot) and self._prebuffered(slot)

    def _must_wait(self, slot: AVSlot) -> bool:
        """Whether its turn is to hold still before it has begun."""
        return slot.generation != self._turn and slot.generation == self._source.paused

    def _step(self) -> Picture:
        """Decide on the next frame."""
        second_half, self._between = self._between, False
        self.settle()
        self._follow()
        if self._held:
            return self._idle_picture()
        slot = self._source.front()
        if slot is None or self._must_wait(slot) or not (self._turn or self._ready(slot)):
            if self._turn:
                self.starved += not second_half
                self._info = None
            return self._idle_picture()
        if slot.generation != self._turn:
            if self._turn:
                self._cut()
            self._turn, self._frames = slot.generation, 0
        picture = self._take(slot)
        self._source.advance()
        return picture

    def settle(self) -> None:
        """Account for an interruption, if there was one. From outside only when nothing ticks: the browser has left."""
        if self._is_cut():
            self._cut()

    def _ready(self, slot: AVSlot) -> bool:
        """Whether a turn may start: enough slots wait, the whole turn waits, or it was given the time to buffer."""
        if slot.generation != self._awaited:
            self._awaited, self._waited = slot.generation, 0
        self._waited += 1
        return self._prebuffered(slot) or self._waited > self._prebuffer

    def _prebuffered(self, slot: AVSlot) -> bool:
        return bool(slot.info.flags & SlotFlags.TURN_END) or self._source.depth >= self._prebuffer

    def _take(self, slot: AVSlot) -> Picture:
        self._info = slot.info
        self._pcm[:] = slot.pcm
        self._frames += 1
        self._spoken_picture = self._speech_picture(Picture(slot.pose, slot.frame, self.face))
        return self._spoken_picture

    def _speech_picture(self, source: Picture) -> Picture:
        """A copy in the next buffer."""
        assert source.pixels is not None
        pixels = self._next_buffer()
        np.copyto(pixels, source.pixels)
        self._fallback = 0
        self._pose(source.pose)
        return Picture(self.pose, pixels, self.face)

    def _idle_picture(self) -> Picture:
        if not self._held:
            self._pose((self.pose + 1) % len(self.face.clip))
        if self._fallback >= len(_FALLBACK):
            return Picture(self.pose, None, self.face)
        share = _FALLBACK[self._fallback]
        self._fallback += 1
        self._between = True
        last, pixels = self._buffers[self._buffer], self._next_buffer()
        cv2.addWeighted(self.face.clip[self.pose], share, last, 1.0 - share, 0.0, dst=pixels)
        return Picture(self.pose, pixels, self.face)

    def _next_buffer(self) -> UInt8:
        self._buffer = (self._buffer + 1) % _PIXEL_BUFFERS
        return self._buffers[self._buffer]

    def _pose(self, pose: int) -> None:
        self.pose = pose
        self._observer.posed(pose)

    def _packet(self, half: int) -> Int16 | None:
        """The sound of packet 0 or 1 of the current frame."""
        self.settle()
        info = self._info
        if info is None:
            return self._decay()
        at = self._now()
        if half == 0 and info.flags & SlotFlags.FRAGMENT_START:
            self._observer.fragment_started(self._turn, info.fragment, at, self._video_timestamp)
        end = min(PACKET_SAMPLES * (half + 1), info.samples)
        self._heard = (info.fragment, info.sample + end)
        self._handed_at = at
        self._observer.heard(self._turn, *self._heard)
        if half == 0 and self._frames % FPS == 1:
            self._observer.progress(self._turn, *self._heard, at)
        packet = self._pcm[PACKET_SAMPLES * half : PACKET_SAMPLES * (half + 1)].copy()
        if self._rises:
            self._rises = False
            packet[: len(_RISE)] = _RISE * packet[: len(_RISE)]
        self._last_sample = int(packet[-1])
        if half == 1:
            self._info = None
            if info.flags & SlotFlags.TURN_END:
                self._observer.turn_ended(self._turn, *self._heard, at)
                self._turn = 0
        return packet

    def _cut(self) -> None:
        self._observer.turn_cut(self._turn, *self._heard, self._handed_at)
        self._turn, self._info, self._heard = 0, None, (0, 0)
        self._held, self._rest, self._rises = False, None, False

    def _decay(self) -> Int16 | None:
        """Silence; its first packet leads from the last sample down to zero."""
        if self._last_sample == 0:
            return None
        packet = np.zeros(PACKET_SAMPLES, np.int16)
        packet[: len(_DECAY)] = _DECAY * self._last_sample
        self._last_sample = 0
        return packet
