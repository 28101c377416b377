"""One loudness for all voices: a gain a fragment, learned from what its voice said before.

    fragment   0        1        2        3            (a voice 5 dB below the target)
    gain       0 dB     +1.5     +3.0     +3.5        at most 1.5 dB further each time, never within a fragment

What is measured is speech: blocks of 100 ms, without those of silence and pauses, which are told as in ITU-R BS.1770-4
(an absolute gate, then one 10 dB below the mean of the rest). Its filter is left out: speech is compared with speech.

A sentence may be 3 dB louder than the voice that says it. So a voice is brought as far towards the target as is sure
by then: to 5 dB from it after 0.3 s of speech, 2.6 after 3 s, 0.8 after half a minute. One that was never heard is
judged by its first chunk: if it takes over in the middle of a turn, it must not be twice as loud.

A gain never clips: it leaves the loudest peak that is known of the voice 1 dB of headroom, and a louder one is bent. A
peak that does not come again fades with the half minute, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from opentalking.types import AudioChunk, Float32, Int16

STEP_DB = 1.5  # from one fragment of a turn to the next: nobody hears it
MOST_DB = 9.0  # either way
_HEADROOM_DB = 1.0
_BENT_FROM = np.float32(0.8 * 32767)  # louder samples are bent towards full scale
_BLOCK_MS = 100
_SILENT_DB = -60.0  # absolute gate, dBFS
_PAUSE_DB = -10.0  # relative gate
_KNOWN_BLOCKS = 3  # of speech, before a voice counts as known at all
_UNSURE_DB, _MOST_UNSURE_DB = 4.5, 5.0  # after a second of speech, and at most; it falls with the root of the time
_REMEMBERED_BLOCKS = 300  # half a minute of speech


@dataclass(frozen=True, slots=True)
class Level:
    """What is known of a voice: mean power of its speech (full scale is 1), from how many blocks, and its peak."""

    power: float
    blocks: int
    peak: float

    @property
    def db(self) -> float:
        """dBFS of a root mean square; a full-scale sine has -3."""
        return 10 * math.log10(self.power)

    def wanted_db(self, target_db: float) -> float:
        """The gain that brings it towards the target, as far as it is sure and may."""
        off_db = target_db - self.db
        unsure_db = min(_UNSURE_DB / math.sqrt(self.blocks * _BLOCK_MS / 1000), _MOST_UNSURE_DB)
        sure_db = math.copysign(max(0.0, abs(off_db) - unsure_db), off_db)
        room_db = max(0.0, -_HEADROOM_DB - 20 * math.log10(self.peak))
        return min(max(min(sure_db, room_db), -MOST_DB), MOST_DB)

    def joined(self, later: Level) -> Level:
        """With what was measured later; half a minute is remembered."""
        blocks = min(self.blocks + later.blocks, _REMEMBERED_BLOCKS)
        new = min(later.blocks, blocks)
        power = (self.power * (blocks - new) + later.power * new) / blocks
        kept = 1 - new / _REMEMBERED_BLOCKS  # of a peak: one click is not the voice for ever
        faded = self.peak * kept + later.peak * (1 - kept)
        return Level(power, blocks, max(faded, later.peak))


class SpeechMeter:
    """The level of the speech in what was pushed."""

    def __init__(self, rate: int) -> None:
        self._block = _BLOCK_MS * rate // 1000
        self._rest = np.zeros(0, np.int16)
        self._powers: list[float] = []
        self._peak = 0

    def push(self, samples: Int16) -> None:
        self._peak = max(self._peak, int(np.abs(samples.astype(np.int32)).max(initial=0)))
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // self._block * self._block
        blocks = samples[:whole].reshape(-1, self._block).astype(np.float32) / np.float32(32768)
        self._powers += np.square(blocks).mean(axis=1).tolist()
        self._rest = samples[whole:]

    def level(self) -> Level | None:
        """None while there is too little speech to tell."""
        powers = np.array([power for power in self._powers if power > 10 ** (_SILENT_DB / 10)])
        if not len(powers):
            return None
        speech = powers[powers > powers.mean() * 10 ** (_PAUSE_DB / 10)]
        if len(speech) < _KNOWN_BLOCKS:
            return None
        return Level(float(speech.mean()), len(speech), self._peak / 32768)


class VoiceLevels:
    """What a process knows of its voices, each named by a tuple of words."""

    def __init__(self, target_db: float) -> None:
        """`target_db`: dBFS; 0: voices are left as they are."""
        self.target_db = target_db
        self._known: dict[tuple[str, ...], Level] = {}

    def wanted_db(self, voice: tuple[str, ...]) -> float | None:
        """The gain for a voice, None if it was never heard."""
        level = self._known.get(voice)
        return None if level is None else level.wanted_db(self.target_db)

    def matched(self, voice: tuple[str, ...], chunks: list[AudioChunk]) -> list[AudioChunk]:
        """A fragment that is there as a whole, at the gain that a turn of this voice would now begin with."""
        if not self.target_db or not chunks:
            return chunks
        meter = SpeechMeter(chunks[0].sample_rate)
        for chunk in chunks:
            meter.push(chunk.data)
        if (level := meter.level()) is not None:
            self.learn(voice, level)
        gain = 10 ** ((self.wanted_db(voice) or 0.0) / 20)
        return [AudioChunk(amplified(chunk.data, gain), chunk.sample_rate) for chunk in chunks]

    def learn(self, voice: tuple[str, ...], level: Level) -> None:
        known = self._known.get(voice)
        self._known[voice] = level if known is None else known.joined(level)


class TurnLoudness:
    """A turn's gains: from one fragment of a voice to its next, a small step."""

    def __init__(self, levels: VoiceLevels) -> None:
        self.levels = levels
        self.gains_db: dict[tuple[str, ...], float] = {}

    def fragment(self, *voice: str) -> FragmentLoudness:
        return FragmentLoudness(self, voice)

    def gain_db(self, voice: tuple[str, ...], heard: SpeechMeter) -> float:
        """For a fragment that begins with what the meter has heard."""
        wanted_db, before_db = self.levels.wanted_db(voice), self.gains_db.get(voice)
        if wanted_db is None:
            first = heard.level()
            wanted_db = first.wanted_db(self.levels.target_db) if first else 0.0
        if before_db is not None:
            wanted_db = min(max(wanted_db, before_db - STEP_DB), before_db + STEP_DB)
        self.gains_db[voice] = wanted_db
        return wanted_db


class FragmentLoudness:
    """One fragment: measured as it comes, and given one gain from its first chunk to its last. A context."""

    def __init__(self, turn: TurnLoudness, voice: tuple[str, ...]) -> None:
        self._turn = turn
        self._voice = voice
        self._meter: SpeechMeter | None = None
        self._gain = 1.0

    def apply(self, chunk: AudioChunk) -> AudioChunk:
        """The chunk at the fragment's gain."""
        if not self._turn.levels.target_db:
            return chunk
        begins = self._meter is None
        self._meter = self._meter or SpeechMeter(chunk.sample_rate)
        self._meter.push(chunk.data)
        if begins:
            self._gain = 10 ** (self._turn.gain_db(self._voice, self._meter) / 20)
        return AudioChunk(amplified(chunk.data, self._gain), chunk.sample_rate)

    def __enter__(self) -> FragmentLoudness:
        return self

    def __exit__(self, *_: object) -> None:
        """The fragment is over, or was cut: what was measured counts from the next one on."""
        if self._meter is not None and (level := self._meter.level()) is not None:
            self._turn.levels.learn(self._voice, level)


def amplified(samples: Int16, gain: float) -> Int16:
    """Samples at a gain; those that come near full scale by it are bent towards it: no step, no clip."""
    if gain == 1:
        return samples
    scaled = samples * np.float32(gain)
    made: Int16 = np.rint(_bent(scaled) if gain > 1 else scaled).astype(np.int16)
    return made


def _bent(scaled: Float32) -> Float32:
    """Unchanged up to _BENT_FROM, then a tanh that meets it with the same slope and stays within full scale."""
    beyond = np.maximum(np.abs(scaled) - _BENT_FROM, 0)
    if not beyond.any():
        return scaled
    room = np.float32(32767) - _BENT_FROM
    bent: Float32 = np.sign(scaled) * (np.minimum(np.abs(scaled), _BENT_FROM) + room * np.tanh(beyond / room))
    return bent
