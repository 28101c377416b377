"""Labels lie where the sound is: exact arithmetic, then the sound of each voice itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from opentalking.models.portrait.mel import MelStream
from opentalking.models.portrait.training import espeak
from opentalking.models.portrait.training.festival import SPEAKERS
from opentalking.models.portrait.training.festival import segments_of as festival_segments
from opentalking.models.portrait.training.flite import segments_of
from opentalking.models.portrait.training.labelled import Labelled, Segment, labelled
from opentalking.models.portrait.training.piper import PiperVoice, packaged_voice
from opentalking.models.portrait.training.rooms import played_faster
from opentalking.models.portrait.visemes import SILENCE, VISEMES
from opentalking.types import Float32

PP, SS, AA = VISEMES.index("PP"), VISEMES.index("SS"), VISEMES.index("aa")
VOWELS = [VISEMES.index(name) for name in ("aa", "E", "I", "O", "U")]
SENTENCE = "Peter and Bobby paid for a copper pot, a sausage, a possum and a puppy. Sam saw a supper party."


@pytest.fixture(scope="module")
def voice() -> PiperVoice:
    return PiperVoice(packaged_voice(), seed=1)


def piper(voice: PiperVoice) -> list[Labelled]:
    return voice.speak(SENTENCE)


def shifted_piper(voice: PiperVoice) -> list[Labelled]:
    return [played_faster(speech, 1.25) for speech in voice.speak(SENTENCE, slowness=1.25)]


def synthetic(_: PiperVoice) -> list[Labelled]:
    return [espeak.speak(SENTENCE, "en-us")]


def test_a_label_is_what_sounds_at_that_instant_and_what_is_not_said_is_silence() -> None:
    segments = [Segment(0.02, 0.06, (PP, AA)), Segment(0.06, 0.075, (SS,))]
    speech = labelled(np.zeros(3200, np.float32), 16_000, segments, "none")
    assert speech.visemes.tolist() == [SILENCE] * 2 + [PP] * 2 + [AA] * 2 + [SS] * 2 + [SILENCE] * 13


def test_sound_at_another_rate_keeps_its_length_in_time() -> None:
    speech = labelled(np.zeros(22_050, np.float32), 22_050, [Segment(0.5, 1.0, (AA,))], "none")
    assert len(speech.samples) == 16_000
    assert (np.flatnonzero(speech.visemes == AA) == np.arange(50, 100)).all()


def test_speech_played_faster_takes_its_labels_along() -> None:
    speech = labelled(np.zeros(16_000, np.float32), 16_000, [Segment(0.5, 1.0, (AA,))], "none")
    fast = played_faster(speech, 1.25)
    assert len(fast.samples) == 12_800
    assert abs(int(np.argmax(fast.visemes == AA)) - 40) <= 1


@pytest.mark.parametrize("speak", [piper, shifted_piper, synthetic])
def test_labels_end_where_the_sound_ends_closures_are_quiet_and_sibilants_hiss(
    voice: PiperVoice, speak: Callable[[PiperVoice], list[Labelled]]
) -> None:
    for speech in speak(voice):
        mel = MelStream().push(np.concatenate([speech.samples, np.zeros(400, np.float32)]))[: len(speech.visemes)]
        loudness, hiss = mel.max(1), mel[:, 32:].mean(1) - mel[:, 2:20].mean(1)
        heard = np.flatnonzero(loudness > np.percentile(loudness, 90) - 6)
        said = np.flatnonzero(speech.visemes != SILENCE)
        assert abs(int(heard[-1]) - int(said[-1])) <= 12
        assert abs(int(heard[0]) - int(said[0])) <= 12
        assert quietest_shift(loudness, speech) in (-2, -1, 0, 1, 2)
        assert np.median(hiss[speech.visemes == SS]) > np.median(hiss[np.isin(speech.visemes, VOWELS)]) + 3


def quietest_shift(loudness: Float32, speech: Labelled) -> int:
    """By how many frames the labels of p and b would have to move to lie in the quietest places of the speech."""
    closures = np.flatnonzero(speech.visemes == PP)
    closures = closures[(closures > 12) & (closures < len(loudness) - 12)]
    return min(range(-8, 9), key=lambda shift: float(loudness[closures + shift].mean()))


def test_the_same_seed_speaks_the_same(voice: PiperVoice) -> None:
    first, second = (PiperVoice(packaged_voice(), seed=5).speak("A short one.")[0] for _ in range(2))
    np.testing.assert_array_equal(first.samples, second.samples)
    np.testing.assert_array_equal(first.visemes, second.visemes)
    assert len(voice.speak("One. Two.")) == 2


def test_a_voice_that_espeak_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="espeak-ng has no voice 'xx-none'"):
        espeak.speak("Hello.", "xx-none")


def test_what_flite_prints_is_read_as_consecutive_phones() -> None:
    first, second, third = segments_of("pau:0.164 b:0.25 ay:0.5")
    assert first == Segment(0.0, 0.164, (SILENCE,))
    assert second == Segment(0.164, 0.25, (PP,))
    assert third == Segment(0.25, 0.5, (AA, VISEMES.index("I")))


def test_what_festival_writes_is_read_by_the_phone_set_of_the_speaker() -> None:
    written = ["separator ;", "nfields 1", "#", "0.1000 100 #", "0.2000 100 a:", "0.2500 100 c~", "0.3000 100 n~"]
    czech = next(speaker for speaker in SPEAKERS if speaker.language == "cs")
    segments = festival_segments(written, czech)
    assert [[VISEMES[v] for v in segment.visemes] for segment in segments] == [["sil"], ["aa"], ["CH"], ["nn"]]
    assert [segment.end for segment in segments] == [0.1, 0.2, 0.25, 0.3]
