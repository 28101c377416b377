"""Recordings as people send them, and what only looks like one."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from opentalking.stt.audio_file import AudioFileError, decode
from opentalking.types import MODEL_RATE, Int16

FORMATS = {
    "wav": "pcm_s16le",
    "mov": "pcm_s16le",
    "aiff": "pcm_s16be",
    "mp3": "libmp3lame",
    "adts": "aac",
    "flac": "flac",
    "ogg": "libopus",
    "webm": "libopus",
    "matroska": "pcm_s16le",
}


def encoded(container: str, codec: str, pcm: Int16, rate: int = 48_000, layout: str = "stereo") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.layout = layout
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = MODEL_RATE
        resampler = av.AudioResampler(stream.format, layout, rate)
        for resampled in [*resampler.resample(frame), *resampler.resample(None), None]:
            output.mux(stream.encode(resampled))
    return file.getvalue()


@pytest.mark.parametrize("container", FORMATS)
def test_what_people_record_is_read(container: str, question: Int16) -> None:
    pcm = decode(encoded(container, FORMATS[container], question), longest_s=10)
    assert pcm.dtype == np.int16
    assert len(pcm) == pytest.approx(len(question), abs=2000)
    there, back = (np.abs(part.astype(np.float64)) for part in (question, pcm))
    assert 0.6 < back.mean() / there.mean() < 1.1  # the way to stereo and back costs 3 dB


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", bytes(100_000), b"RIFF" + b"\xff" * 5000, b"\x1aE\xdf\xa3" + bytes(500)],
    ids=["empty", "text", "zeros", "bad riff", "bad webm"],
)
def test_what_is_no_recording_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(AudioFileError, match=r"it cannot be read as a recording: \w+"):
        decode(content, longest_s=10)


def test_a_recording_that_is_cut_off_is_read_as_far_as_it_goes(question: Int16) -> None:
    whole = encoded("wav", "pcm_s16le", question, MODEL_RATE, "mono")
    assert 0 < len(decode(whole[: len(whole) // 2], longest_s=10)) < len(question)


def test_one_that_is_too_long_is_not_read_to_its_end(question: Int16) -> None:
    with pytest.raises(AudioFileError, match="it is longer than 1 s"):
        decode(encoded("flac", "flac", np.tile(question, 100)), longest_s=1)


def test_pictures_without_sound_are_refused() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width = stream.height = 16
        for picture in (av.VideoFrame(16, 16, "yuv420p"), None):
            output.mux(stream.encode(picture))
    with pytest.raises(AudioFileError, match="there is no sound in it"):
        decode(file.getvalue(), longest_s=10)


@pytest.mark.parametrize(
    "playlist",
    ["#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{path}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile '{path}'\n"],
)
def test_a_playlist_makes_the_server_read_nothing(playlist: str, question: Int16, tmp_path) -> None:  # type: ignore[no-untyped-def]
    secret = tmp_path / "secret.wav"
    secret.write_bytes(encoded("wav", "pcm_s16le", question))
    with pytest.raises(AudioFileError):
        decode(playlist.format(path=secret).encode(), longest_s=10)
