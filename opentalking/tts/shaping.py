"""From a voice's PCM to 40 ms slots: resampled for the model and the listener, faded at the edges, marked.

    turn      |<- fragment 0 ------------>|<- fragment 1 ----->|<- silence ->|
    slots     |TS FS|     |     |  FE 0000|FS   |     |FE  0000|      |    TE|
    gain       /‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾\\        /‾‾‾‾‾‾‾‾‾‾‾‾\\_
               boundary fades                   tail fade, when the turn ends in this fragment

A fragment fills whole slots, zeros at its end; `samples` in the slot's header says how many are its own. The fades
are applied before the resampling, so that what the model hears and what the listener hears cannot differ.

The end of a fragment is known only when it comes, so as much as may still have to be faded is held back: the boundary
fade at first, so that speaking starts soon, growing to the tail fade. The amount depends on the samples received
alone, which makes the slots independent of how the voice cut its chunks.
"""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

import numpy as np

from opentalking.config import Settings
from opentalking.resampling import Resampler
from opentalking.slots import SlotFlags, SlotInfo
from opentalking.types import (
    FRAME_MS,
    MODEL_RATE,
    MODEL_SAMPLES,
    PLAYBACK_RATE,
    PLAYBACK_SAMPLES,
    AudioChunk,
    Float32,
    Int16,
)

_SILENCE = np.zeros(0, np.int16)


class ShapingError(RuntimeError):
    """Calls came in an order, or PCM in a form, that makes no turn."""


class Shaped(NamedTuple):
    """One PCM slot: header, int16 (640,) at 16 kHz, int16 (1920,) at 48 kHz."""

    info: SlotInfo
    model_pcm: Int16
    playback_pcm: Int16


class TurnShaper:
    """Shapes one turn: (start_fragment, push…, end_fragment)…, end_turn.

    `end_turn` also ends a fragment that is still open, with the tail fade; leave the turn's last fragment to it.
    A fragment without PCM makes no slots; a turn always ends with at least one slot of silence, which carries TURN_END.
    """

    def __init__(self, settings: Settings) -> None:
        self._boundary_ms = settings.flashtalk_tts_boundary_fade_ms
        self._tail_ms = settings.flashtalk_tts_tail_fade_ms
        self._silent_slots = max(1, -(-settings.flashtalk_tts_trailing_silence_ms // FRAME_MS))
        self._fragment = 0
        self._open = False
        self._ended = False
        self._begun = False  # a slot of this turn is out
        self._audio: _FragmentAudio | None = None
        self._slots = count()
        self._samples = 0  # of the last fragment, at 48 kHz

    def start_fragment(self, index: int) -> None:
        if self._open or self._ended:
            raise ShapingError("the fragment before is still open" if self._open else "the turn has ended")
        self._fragment, self._open, self._audio, self._slots, self._samples = index, True, None, count(), 0

    def push(self, chunk: AudioChunk) -> list[Shaped]:
        """Slots that are complete with this chunk."""
        if not self._open:
            raise ShapingError("push without start_fragment")
        if self._audio is None:
            self._audio = _FragmentAudio(chunk.sample_rate, self._boundary_ms, self._tail_ms)
        self._audio.push(chunk)
        return [self._slot(*pair, PLAYBACK_SAMPLES, SlotFlags.NONE) for pair in self._audio.whole_frames()]

    def end_fragment(self) -> list[Shaped]:
        """The fragment's remaining slots; its last 18 ms (setting) are faded out."""
        return self._finish(self._boundary_ms)

    def end_turn(self) -> list[Shaped]:
        """The open fragment's rest, if any, and the trailing silence."""
        if self._ended:
            raise ShapingError("the turn has ended")
        shaped = self._finish(self._tail_ms) if self._open else []
        self._ended = True
        for left in reversed(range(self._silent_slots)):
            flags = SlotFlags.NONE if left else SlotFlags.TURN_END
            model, playback = np.zeros(MODEL_SAMPLES, np.int16), np.zeros(PLAYBACK_SAMPLES, np.int16)
            info = SlotInfo(self._fragment, flags | self._turn_start(), self._samples, 0)
            shaped.append(Shaped(info, model, playback))
        return shaped

    def _finish(self, fade_ms: int) -> list[Shaped]:
        if not self._open:
            raise ShapingError("end_fragment without start_fragment")
        self._open = False
        if self._audio is None:
            return []
        self._audio.finish(fade_ms)
        frames = list(self._audio.whole_frames())
        shaped = [self._slot(*pair, PLAYBACK_SAMPLES, SlotFlags.NONE) for pair in frames[:-1]]
        for model, playback in frames[-1:]:
            own = self._audio.samples - self._samples
            shaped.append(self._slot(model, playback, own, SlotFlags.FRAGMENT_END))
        return shaped

    def _slot(self, model: Int16, playback: Int16, samples: int, flags: SlotFlags) -> Shaped:
        first = SlotFlags.NONE if next(self._slots) else SlotFlags.FRAGMENT_START
        info = SlotInfo(self._fragment, flags | first | self._turn_start(), self._samples, samples)
        self._samples += samples
        return Shaped(info, model, playback)

    def _turn_start(self) -> SlotFlags:
        begun, self._begun = self._begun, True
        return SlotFlags.NONE if begun else SlotFlags.TURN_START


class _FragmentAudio:
    """One fragment's PCM: fades at the source's rate, then both resamplers side by side."""

    def __init__(self, rate: int, boundary_ms: int, tail_ms: int) -> None:
        self._rate = rate
        self._fade_in = boundary_ms * rate // 1000
        self._frame = FRAME_MS * rate // 1000
        self._least_held = max(self._fade_in, -(-rate // MODEL_RATE))  # so that the last slot is never out unmarked
        self._most_held = max(self._least_held, tail_ms * rate // 1000)
        self._received = 0
        self._released = 0
        self._held: list[Int16] = []
        self._model = Resampler(rate, MODEL_RATE)
        self._playback = Resampler(rate, PLAYBACK_RATE)

    @property
    def samples(self) -> int:
        """Samples at 48 kHz, padding not counted."""
        return self._playback.samples

    def push(self, chunk: AudioChunk) -> None:
        if chunk.sample_rate != self._rate:
            raise ShapingError(f"the rate changed from {self._rate} to {chunk.sample_rate} Hz within a fragment")
        self._received += len(chunk.data)
        self._held.append(chunk.data)
        held = min(max(self._least_held, (self._received - self._frame) // 2), self._most_held)
        if (ready := self._received - held - self._released) > 0:
            waiting = np.concatenate(self._held)
            self._held = [waiting[ready:]]
            self._release(waiting[:ready])

    def finish(self, fade_ms: int) -> None:
        """Fade out what is held back, at most `fade_ms`, and pad both streams to whole frames."""
        rest = np.concatenate([_SILENCE, *self._held])
        fade = min(fade_ms * self._rate // 1000, len(rest))
        if fade:
            ramp = (np.arange(fade)[::-1] / fade).astype(np.float32)
            rest = np.concatenate([rest[:-fade], _scaled(rest[-fade:], ramp)])
        self._release(rest)
        self._model.finish(MODEL_SAMPLES)
        self._playback.finish(PLAYBACK_SAMPLES)

    def whole_frames(self) -> list[tuple[Int16, Int16]]:
        frames = min(self._model.waiting // MODEL_SAMPLES, self._playback.waiting // PLAYBACK_SAMPLES)
        model, playback = self._model.take(frames * MODEL_SAMPLES), self._playback.take(frames * PLAYBACK_SAMPLES)
        return list(zip(model.reshape(-1, MODEL_SAMPLES), playback.reshape(-1, PLAYBACK_SAMPLES), strict=True))

    def _release(self, samples: Int16) -> None:
        """Samples in order, the fade-in applied where they fall into it, to both resamplers."""
        fading = min(max(self._fade_in - self._released, 0), len(samples))
        if fading:
            ramp = (np.arange(self._released, self._released + fading) / self._fade_in).astype(np.float32)
            samples = np.concatenate([_scaled(samples[:fading], ramp), samples[fading:]])
        self._released += len(samples)
        self._model.push(samples)
        self._playback.push(samples)


def _scaled(samples: Int16, gain: Float32) -> Int16:
    scaled: Int16 = np.rint(samples * gain).astype(np.int16)
    return scaled
