"""Voice activity: its rules in drawn time, and the real network on real and unreal speech."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from opentalking.config import Settings
from opentalking.turns.vad import HOP, Activity, Event, SileroModel, VoiceActivity
from opentalking.types import MODEL_RATE, Int16
from tests.unit.turns.conftest import room
from tests.unit.turns.hops import Stream

Say = Callable[[str], Int16]
SENTENCE = "I would like to book a table for two, please."


def drawn(hops: str, **settings: object) -> list[Activity]:
    return list(Stream(Settings(**settings)).hear(hops))


def events(activities: list[Activity]) -> str:
    """A line as wide as the drawing: S where speech started, E where it had ended."""
    letters = {Event.STARTED: "S", Event.STOPPED: "E", None: "."}
    return "".join(letters[activity.event] for activity in activities)


def test_the_timeline_of_the_module_is_true() -> None:
    activities = drawn("__##+###+__#____")
    assert events(activities) == ".....S........E."
    assert [a.speaking for a in activities] == [False] * 5 + [True] * 9 + [False] * 2
    assert [a.speech_ms for a in activities] == [0] * 5 + [128, 160, 192, 224, 224, 224, 320, 320, 320, 320, 320]
    assert [a.silence_ms for a in activities] == [32, 64, 96, 128, 160, 0, 0, 0, 0, 32, 64, 0, 32, 64, 96, 128]
    assert [a.position for a in activities] == [HOP * n for n in range(1, 17)]


def test_less_than_the_start_is_no_speech_however_often() -> None:
    assert events(drawn("##_##_#_##_++++")) == "." * 15
    assert drawn("##_##_#_##_++++")[-1].silence_ms == 15 * 32


def test_between_the_thresholds_nothing_begins_and_nothing_ends() -> None:
    assert events(drawn("+" * 10)) == "." * 10
    assert events(drawn("###" + "+" * 10)) == "..S" + "." * 10


def test_speech_is_heard_from_before_it_was_noticed_but_not_from_before_the_speech_before_it() -> None:
    far, near = drawn("_" * 20 + "###"), drawn("_" * 20 + "###____###")
    assert far[-1].began == 20 * HOP - 320 * 16
    assert near[-1].began == 23 * HOP
    assert drawn("_" * 3 + "###")[-1].began == 0


def test_the_start_and_the_thresholds_are_the_settings() -> None:
    assert events(drawn("#_##_####", vad_start_ms=128)) == "........S"
    assert events(drawn("+++", vad_threshold=0.4)) == "..S"
    assert events(drawn("###++++", vad_release=0.45)) == "..S..E."
    assert events(drawn("#", vad_start_ms=0)) == "S"


def test_pieces_of_any_size_are_the_same_stream(silero: SileroModel, say: Say) -> None:
    pcm = say(SENTENCE)[: 3 * MODEL_RATE]
    whole = VoiceActivity(silero, Settings()).push(pcm)
    for size in (320, 333, 5000):
        stream = VoiceActivity(silero, Settings())
        assert [a for at in range(0, len(pcm), size) for a in stream.push(pcm[at : at + size])] == whole
    assert len(whole) == len(pcm) // HOP


def test_a_stream_that_was_reset_is_as_new(silero: SileroModel, say: Say) -> None:
    stream = VoiceActivity(silero, Settings())
    first = stream.push(say(SENTENCE))
    stream.reset()
    assert stream.push(say(SENTENCE)) == first


def test_streams_in_threads_share_a_model_and_nothing_else(silero: SileroModel, say: Say) -> None:
    sounds = [say(SENTENCE), say("Stop."), room(3), np.concatenate([room(1), say("Stop.")])]
    alone = [VoiceActivity(silero, Settings()).push(pcm) for pcm in sounds]
    together: list[list[Activity]] = [[] for _ in sounds]

    def listen(n: int) -> None:
        together[n] = VoiceActivity(silero, Settings()).push(sounds[n])

    threads = [threading.Thread(target=listen, args=(n,)) for n in range(len(sounds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


@pytest.mark.parametrize("text", [SENTENCE, "Stop.", "Yes.", "What is the weather like today?"])
@pytest.mark.parametrize("peak", [0.9, 0.1, 0.03])
def test_sentences_loud_and_soft_are_heard_from_first_to_last(
    silero: SileroModel, say: Say, text: str, peak: float
) -> None:
    voice = say(text).astype(np.float64)
    audible = np.flatnonzero(np.abs(voice) > 0.05 * np.abs(voice).max())
    pcm = np.concatenate([room(1), (voice * peak * 32767 / np.abs(voice).max()).astype(np.int16), room(1)])
    activities = VoiceActivity(silero, Settings()).push(pcm)
    began = min(a.began for a in activities if a.event is Event.STARTED)
    ended = max(a.position for a in activities if a.speaking and a.silence_ms == 0)
    assert MODEL_RATE // 2 < began <= MODEL_RATE + audible[0]
    late_s = ended / MODEL_RATE - 1 - audible[-1] / MODEL_RATE
    assert -0.4 < late_s < 0.5  # a soft "s" at the end is taken for noise, and the end of a soft voice comes late
    assert not activities[-1].speaking


def test_speech_is_heard_above_noise_ten_times_weaker(silero: SileroModel, say: Say) -> None:
    voice = np.concatenate([room(1), say(SENTENCE), room(1)]).astype(np.float64)
    noise = np.random.default_rng(3).normal(0, say(SENTENCE).astype(np.float64).std() / 10**0.5, len(voice))
    activities = VoiceActivity(silero, Settings()).push((voice + noise).clip(-32768, 32767).astype(np.int16))
    assert activities[-1].event is None and not activities[-1].speaking
    spoken = sum(a.speaking for a in activities) * HOP / len(say(SENTENCE))
    assert 0.7 < spoken < 1.1


def test_two_who_speak_at_once_are_speech(silero: SileroModel, say: Say) -> None:
    one, two = say(SENTENCE), say("What is the weather like today?")
    babble = one.astype(np.int32)
    babble[: len(two)] += two
    activities = VoiceActivity(silero, Settings()).push(babble.clip(-32768, 32767).astype(np.int16))
    assert events(activities).count("S") >= 1
    assert sum(a.speaking for a in activities) > 0.7 * len(activities)


def unreal_sounds() -> dict[str, Int16]:
    """Ten seconds each of what is no speech."""
    rng = np.random.default_rng(1)
    samples = 10 * MODEL_RATE
    t = np.arange(samples) / MODEL_RATE
    white = rng.normal(0, 1, samples)
    band = sosfilt(butter(2, [250, 2500], "bandpass", fs=MODEL_RATE, output="sos"), white)
    band /= band.std()
    since = t % 0.5
    notes = np.array([220, 262, 330, 392, 440])[rng.integers(0, 5, 40)][(t * 4).astype(int)]
    clicks = white * np.exp(-(t % 0.23) * 800)
    sounds = {f"white noise at {level} dBFS": white * 32768 * 10 ** (level / 20) for level in (-60, -40, -20, -10)}
    sounds |= {
        "silence": np.zeros(samples),
        "a melody": 5000 * sum(np.sin(2 * np.pi * notes * h * t) / h for h in (1, 2, 3)) * np.exp(-(t % 0.25) * 4),
        "a chord": 3000 * sum(np.sin(2 * np.pi * f * t + 3 * np.sin(10 * np.pi * t)) for f in (220, 277, 330)),
        "a sweep": 8000 * np.sin(2 * np.pi * (100 * t + 195 * t**2)),
        "mains hum": 1500 * sum(np.sin(2 * np.pi * 50 * h * t) / h for h in range(1, 12)),
        "clicks": 20000 * clicks,
        "bursts like coughs": 8000 * band * np.exp(-since / 0.08) * (1 - np.exp(-since / 0.004)),
        "noise that swells like syllables": 5000 * band * (1 + np.sin(8 * np.pi * t)) / 2,
    }
    return {name: sound.clip(-32768, 32767).astype(np.int16) for name, sound in sounds.items()}


@pytest.mark.parametrize(("name", "pcm"), unreal_sounds().items(), ids=unreal_sounds().keys())
def test_two_minutes_of_noise_and_music_are_nobody_speaking(silero: SileroModel, name: str, pcm: Int16) -> None:
    assert events(VoiceActivity(silero, Settings()).push(pcm)).count("S") == 0, name
