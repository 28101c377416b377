"""Who says what: the speech the net learns from, and the voices that it never hears.

    learns from      espeak-ng      variants of its voice in a dozen languages, Mandarin from pinyin among them
                     flite          slt, awb, kal16: recorded speakers
                     festival       eight more, most of them of other languages
                     piper          the project's own neural voice
    is tested on     flite rms, espeak-ng's f5, Swedish, piper on other texts, and recorded people (`recorded.py`)

Twelve recorded speakers become many: each sentence is spoken slower or faster and then played so much faster or slower,
which moves pitch and formants and keeps the tempo.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from opentalking.models.portrait.training import espeak, festival, flite, recorded, texts
from opentalking.models.portrait.training.labelled import Labelled
from opentalking.models.portrait.training.piper import PiperVoice, packaged_voice
from opentalking.models.portrait.training.rooms import in_a_room, played_faster

_VARIANTS = (
    "m1 m2 m3 m4 m5 m7 f1 f2 f3 f4 klatt2 klatt4 Annie Andy steph Michael linda belinda adam Lee shelby travis victor"
)
_ENGLISH = ("en-us", "en-us", "en-gb-x-rp", "en-gb-scotland")
_FLITE = {"slt": (0.82, 1.12), "awb": (0.9, 1.3), "kal16": (0.9, 1.3)}  # how much faster they are played
_FESTIVAL_FACTORS = (0.88, 1.2)
_PIPER_FACTORS = (0.85, 1.35)
_ROOM_CHANCE = 0.35


@dataclass(frozen=True)
class Amounts:
    """Sentences a kind of voice; the defaults give about an hour and a quarter."""

    espeak_english: int = 260
    espeak_copies: int = 3  # of each sentence in another language
    espeak_syllables: int = 50
    flite: int = 360
    festival_english: int = 70
    festival_copies: int = 3  # of each sentence, by each speaker of its language
    piper: int = 320


def training_speech(seed: int, amounts: Amounts) -> Iterator[Labelled]:
    """Speech of the training voices, dry or in a room; the same for the same seed."""
    for engine in (_espeak, _flite, _festival, _piper):
        rng = random.Random(f"{engine.__name__} {seed}")
        for speech in engine(rng, amounts):
            yield in_a_room(speech, rng) if rng.random() < _ROOM_CHANCE else speech


def held_out_speech() -> dict[str, list[Labelled]]:
    """Voices and texts that are not in the training."""
    sentences = texts.held_out()
    piper = PiperVoice(packaged_voice(), seed=0)
    return {
        "piper, unseen text": [speech for text in sentences for speech in piper.speak(text)],
        "flite rms": [flite.speak(text, "rms") for text in sentences],
        "espeak f5": [espeak.speak(text, "en-us+f5", 165, 55) for text in sentences],
        "espeak Swedish": [espeak.speak(text, "sv", 165, 45) for text in texts.held_out_swedish()],
    }


def recorded_speech(folder: Path) -> dict[str, list[Labelled]]:
    """People: the recordings in `folder`, and Asterisk's prompts if Debian's packages are there.

    The prompts come in halves, because the recipe was chosen with an eye on the first and not on the second."""
    prompts = recorded.prompts()
    return {
        "recordings": recorded.recordings(folder),
        "prompts, first half": prompts[: len(prompts) // 2],
        "prompts, second half": prompts[len(prompts) // 2 :],
    }


def _espeak(rng: random.Random, amounts: Amounts) -> Iterator[Labelled]:
    spoken = [(rng.choice(_ENGLISH), text) for text in texts.english(rng, amounts.espeak_english)]
    for language, sentences in texts.other_languages().items():
        spoken += [(language, text) for text in sentences * amounts.espeak_copies]
    spoken += [
        ("cmn-latn-pinyin", texts.pinyin_syllables(rng, rng.randint(8, 16))) for _ in range(amounts.espeak_syllables)
    ]
    for language, text in spoken:
        variant = rng.choice(_VARIANTS.split())
        yield espeak.speak(
            text, f"{language}+{variant}", rng.randint(130, 210), rng.randint(20, 85), rng.randint(30, 75)
        )


def _flite(rng: random.Random, amounts: Amounts) -> Iterator[Labelled]:
    for text, name in zip(texts.english(rng, amounts.flite), cycle(_FLITE)):
        factor = rng.uniform(*_FLITE[name])
        yield played_faster(flite.speak(text, name, factor * rng.uniform(0.85, 1.25)), factor)


def _festival(rng: random.Random, amounts: Amounts) -> Iterator[Labelled]:
    for speaker in festival.SPEAKERS:
        if speaker.language == "en":
            sentences = texts.english(rng, amounts.festival_english)
        else:
            sentences = texts.other_languages()[speaker.language] * amounts.festival_copies
        factors = [rng.uniform(*_FESTIVAL_FACTORS) for _ in sentences]
        slowed = [(text, factor * rng.uniform(0.85, 1.25)) for text, factor in zip(sentences, factors, strict=True)]
        for speech, factor in zip(festival.speak(slowed, speaker), factors, strict=True):
            yield played_faster(speech, factor)


def _piper(rng: random.Random, amounts: Amounts) -> Iterator[Labelled]:
    voice = PiperVoice(packaged_voice(), rng.getrandbits(31))
    for text in texts.english(rng, amounts.piper):
        factor = rng.uniform(*_PIPER_FACTORS)
        slowness = factor * rng.uniform(0.8, 1.2)
        for speech in voice.speak(text, rng.uniform(0.4, 0.8), slowness, rng.uniform(0.5, 1.0)):
            yield played_faster(speech, factor)
