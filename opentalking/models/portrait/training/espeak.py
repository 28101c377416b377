"""Labelled speech of espeak-ng: it reports each phoneme's place in the sound it makes.

The event of a voiceless stop comes with its burst, and the silence of its closure counts as the end of the sound
before (measured on f5: 30 to 40 ms; every other phoneme begins with its event). On the lips the closure is the stop, so
the stop gets it here.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from opentalking import espeak_ng
from opentalking.espeak_ng import Parameter, PhonemeStart, Told
from opentalking.models.portrait.training.labelled import Labelled, Segment, labelled
from opentalking.models.portrait.training.phonemes import ipa_visemes
from opentalking.types import AudioChunk, Float32, Int16

_CLOSURE_SECONDS = 0.035
_VOICELESS_STOPS = ("p", "t", "k", "c", "q", "ʈ")
# Names that are espeak-ng's own instead of IPA, most of them in Mandarin: zh ch sh, the e of che, the aspirated stops.
_TO_IPA = (("s.", "ʂ"), ("o-", "ɤ"), ("nɡ", "ŋ"), ("ph", "p"), ("th", "t"), ("kh", "k"), ("ɕh", "ɕ"), ("ʂh", "ʂ"))


def synthesise(
    text: str, voice: str, words_a_minute: int = 175, pitch: int = 50, pitch_range: int = 50
) -> tuple[Float32, int, list[tuple[float, str]]]:
    """Sound in -1..1, its rate in Hz, and each phoneme's start in seconds with its IPA name ("": a pause).

    `voice` is a language, perhaps with a variant: `en-us+f5`. Raises ValueError for one that espeak-ng does not have.
    """
    pieces: list[Int16] = []
    phonemes: list[tuple[float, str]] = []

    def collect(sound: AudioChunk, starts: list[PhonemeStart]) -> bool:
        pieces.append(sound.data)
        phonemes.extend(
            (start.seconds, _ipa(start.name))
            for start in starts
            if not start.name.startswith("(")  # the language changes: "(en)"
        )
        return True

    parameters = {Parameter.RATE: words_a_minute, Parameter.PITCH: pitch, Parameter.PITCH_RANGE: pitch_range}
    rate = espeak_ng.speak(text, voice, collect, told=Told.IPA, parameters=parameters)
    pcm = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    return (pcm / np.float32(32768)).astype(np.float32), rate, phonemes


def _ipa(name: str) -> str:
    for own, symbol in _TO_IPA:
        name = name.replace(own, symbol)
    return "j" if name == "ʲ" else name


def _with_closures(phonemes: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Phonemes by their starts, voiceless stops after another sound begun by their closure."""
    moved = phonemes[:1]
    for (before, sound), (start, name) in pairwise(phonemes):
        stops = sound and name.startswith(_VOICELESS_STOPS)
        moved.append((max(start - _CLOSURE_SECONDS, (before + start) / 2) if stops else start, name))
    return moved


def speak(text: str, voice: str, words_a_minute: int = 175, pitch: int = 50, pitch_range: int = 50) -> Labelled:
    samples, rate, phonemes = synthesise(text, voice, words_a_minute, pitch, pitch_range)
    timed = pairwise(_with_closures([*phonemes, (len(samples) / rate, "")]))
    segments = [Segment(start, end, ipa_visemes(name)) for (start, name), (end, _) in timed]
    return labelled(samples, rate, segments, f"espeak {voice}")
