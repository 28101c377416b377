"""espeak-ng as its users share it: one at a time, and none hears what another left behind."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from opentalking import espeak_ng
from opentalking.espeak_ng import Parameter, PhonemeStart, Told, UnknownVoiceError
from opentalking.types import AudioChunk, Int16

TEXT = "The quick brown fox jumps over the lazy dog."


def said(told: Told = Told.NOTHING, words_a_minute: int = 0, text: str = TEXT) -> tuple[Int16, list[PhonemeStart]]:
    pieces: list[Int16] = []
    starts: list[PhonemeStart] = []

    def take(sound: AudioChunk, new: list[PhonemeStart]) -> bool:
        pieces.append(sound.data)
        starts.extend(new)
        return True

    parameters = {Parameter.RATE: words_a_minute} if words_a_minute else None
    espeak_ng.speak(text, "en-us", take, told=told, buffer_ms=60, parameters=parameters)
    return np.concatenate(pieces), starts


def test_labelled_speech_is_not_changed_by_what_others_asked_for_before_it() -> None:
    pcm, starts = said(Told.IPA)
    for told, words_a_minute in ((Told.NOTHING, 0), (Told.OWN_NAMES, 90), (Told.NOTHING, 400)):
        said(told, words_a_minute, text="Something else.")
        again, told_again = said(Told.IPA)
        assert abs(len(again) - len(pcm)) < 0.01 * len(pcm)
        assert [start.name for start in told_again] == [start.name for start in starts]


def test_the_same_calls_in_another_process_make_the_same_sound() -> None:
    probe = """
import hashlib
from opentalking.models.portrait.training.espeak import synthesise
heard = hashlib.sha256()
for text, voice, pace, pitch in (("Hello to you.", "en-us+f2", 175, 50), ("Guten Tag.", "de+m3", 140, 30)):
    samples, rate, phonemes = synthesise(text, voice, pace, pitch)
    heard.update(samples.tobytes() + repr((rate, phonemes)).encode())
print(heard.hexdigest())
"""
    heard = [subprocess.run([sys.executable, "-c", probe], capture_output=True, check=True).stdout for _ in range(2)]
    assert heard[0] == heard[1]


def test_a_voice_is_not_slowed_by_speech_that_was_labelled_before_it() -> None:
    before, _ = said()
    said(Told.IPA, words_a_minute=90)
    after, _ = said()
    assert abs(len(after) - len(before)) < 0.02 * len(before)


def test_phonemes_are_told_to_who_asks_by_the_names_that_are_asked_for() -> None:
    assert said()[1] == []
    own, ipa = said(Told.OWN_NAMES)[1], said(Told.IPA)[1]
    assert np.allclose([start.seconds for start in own], [start.seconds for start in ipa], atol=0.01)
    assert "aʊ" in {start.name.strip("ˈˌ") for start in ipa}
    assert "aU" in {start.name.strip("',%=") for start in own}


def test_who_has_heard_enough_ends_the_speech_and_the_next_is_heard_whole() -> None:
    whole, _ = said()
    heard = 0

    def enough(sound: AudioChunk, _: object) -> bool:
        nonlocal heard
        heard += len(sound.data)
        return False

    espeak_ng.speak(TEXT, "en-us", enough, buffer_ms=60)
    assert 0 < heard <= len(whole) // 4
    assert abs(len(said()[0]) - len(whole)) < 0.01 * len(whole)


def test_what_its_listener_raises_ends_the_speech_and_is_raised() -> None:
    calls = []

    def fails(sound: AudioChunk, _: object) -> bool:
        calls.append(len(sound.data))
        raise ConnectionError("nobody is there")

    with pytest.raises(ConnectionError, match="nobody is there"):
        espeak_ng.speak(TEXT, "en-us", fails, buffer_ms=60)
    assert len(calls) == 1
    assert len(said()[0]) > 0


def test_a_voice_that_there_is_not_is_named() -> None:
    with pytest.raises(UnknownVoiceError, match="espeak-ng has no voice 'xx-none'"):
        espeak_ng.speak(TEXT, "xx-none", lambda *_: True)


def test_its_package_is_not_imported_before_it_is_wanted() -> None:
    probe = (
        "import sys, opentalking.espeak_ng, opentalking.tts.adapters.espeak; "
        "assert 'espeakng_loader' not in sys.modules; "
        "opentalking.espeak_ng.listed_voices(); assert 'espeakng_loader' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)


def test_threads_that_want_it_at_once_get_it_one_after_another() -> None:
    """As in a speech process that comes back: one looks for voices while others speak. It crashed by that."""
    code = """
import threading
from opentalking import espeak_ng
from opentalking.espeak_ng import Told
together, heard = threading.Barrier(8), [[] for _ in range(8)]
def want(number):
    together.wait()
    for turn in range(6):
        espeak_ng.listed_voices()
        samples = [0]
        def take(sound, starts):
            samples[0] += len(sound.data)
            return True
        espeak_ng.speak("Hello to you.", "de", take, told=Told.IPA if (number + turn) % 2 else Told.NOTHING)
        heard[number].append(samples[0])
threads = [threading.Thread(target=want, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
lengths = [length for turns in heard for length in turns]
assert len(lengths) == 48 and 0 < max(lengths) < 1.1 * min(lengths), lengths
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
