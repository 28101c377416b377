"""From what a service sends to PCM: one call, whatever the format.

    bytes as they come ──> pcm    as it is
                           wav    its header read, the rest as it is
                           mp3    decoded frame by frame
                           opus   Ogg pages to packets, decoded packet by packet
                           ulaw, alaw   G.711, sample by sample

libav decodes in this process: the first PCM of an MP3 is there half a millisecond after its first bytes, and a
fragment that is dropped leaves nothing behind. The ffmpeg process of the specification was measured against it
(docs/decisions/2026-11-25-decoding.md). The PCM keeps the service's own rate: that is the best the listener can get.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from itertools import groupby
from typing import Any, Literal, Protocol, get_args

import av
import numpy as np

from opentalking.tts.base import TTSError, spoken_text
from opentalking.tts.containers import Id3Tag, OggPackets, WavHeader
from opentalking.types import AudioChunk, Float32, Int16

AudioFormat = Literal["pcm", "wav", "mp3", "opus", "ulaw", "alaw"]
FORMATS: tuple[str, ...] = get_args(AudioFormat)

_OPUS_RATE = 48_000
_MOST_SPOILT = 3


class Decoder(Protocol):
    """One fragment's bytes to PCM."""

    def push(self, data: bytes) -> Iterable[AudioChunk]:
        """What these bytes complete. Raises TTSError if they are no sound."""

    def finish(self) -> Iterable[AudioChunk]:
        """What the decoder still held. Raises TTSError if the fragment ends in the middle of something."""


def decoder(audio_format: str, rate: int) -> Decoder:
    """A decoder of one fragment; `rate` in Hz is that of bare samples, which say nothing of themselves."""
    match audio_format:
        case "pcm":
            return PcmDecoder(rate)
        case "wav":
            return WavDecoder()
        case "mp3":
            return Mp3Decoder()
        case "opus":
            return OpusDecoder()
        case "ulaw" | "alaw":
            return LawDecoder(audio_format, rate)
    raise TTSError(f"cannot decode {audio_format!r}; known: {', '.join(FORMATS)}")


async def decode(source: AsyncGenerator[bytes, None], audio_format: str, rate: int) -> AsyncGenerator[AudioChunk, None]:
    """PCM of a fragment as its bytes come; closes the source. Raises TTSError, also if there was no sound at all."""
    decoding, sounded = decoder(audio_format, rate), False
    async with aclosing(source):
        async for data in source:
            for chunk in decoding.push(data):
                sounded = True
                yield chunk
    for chunk in decoding.finish():
        sounded = True
        yield chunk
    if not sounded:
        raise TTSError(f"the service sent no sound ({audio_format})", "broken")


async def speech(
    text: str, ask: Callable[[str], AsyncGenerator[bytes, None]], audio_format: str, rate: int
) -> AsyncGenerator[AudioChunk, None]:
    """PCM of a text whose bytes `ask` gives; one without anything to say is not asked for. Raises TTSError."""
    text = spoken_text(text)
    if text.strip():
        async with aclosing(decode(ask(text), audio_format, rate)) as chunks:
            async for chunk in chunks:
                yield chunk


class PcmDecoder:
    """Mono s16le."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._odd = b""

    def push(self, data: bytes) -> list[AudioChunk]:
        data = self._odd + data
        whole = len(data) // 2 * 2
        self._odd = data[whole:]
        return [AudioChunk(np.frombuffer(data[:whole], "<i2").astype(np.int16), self._rate)] if whole else []

    def finish(self) -> list[AudioChunk]:
        return []


class WavDecoder:
    """RIFF with 16-bit PCM; of several channels, their mean. Sizes in the header may be unknown, as streams have it."""

    def __init__(self) -> None:
        self._header = WavHeader()
        self._rest = b""

    def push(self, data: bytes) -> list[AudioChunk]:
        sound = self._header.feed(data)
        if self._header.format is None:
            return []
        rate, channels = self._header.format
        data = self._rest + sound
        whole = len(data) // (2 * channels) * 2 * channels
        self._rest = data[whole:]
        if not whole:
            return []
        samples = np.frombuffer(data[:whole], "<i2").reshape(-1, channels).T
        return [AudioChunk(_mono(np.asarray(samples, np.float32) / np.float32(32768)), rate)]

    def finish(self) -> list[AudioChunk]:
        if self._header.format is None:
            raise TTSError("the service sent no WAV: it ends within its header", "broken")
        if self._header.cut:
            raise TTSError("the service sent less of a WAV than its header says", "broken")
        return []


class _Frames:
    """A libav decoder of bare frames."""

    def __init__(self, codec: str) -> None:
        context = av.CodecContext.create(codec, "r")
        assert isinstance(context, av.AudioCodecContext)
        self._codec = context
        self._spoilt = 0  # packets in a row that could not be decoded

    def _decoded(self, packets: Iterable[av.Packet[Any] | None]) -> list[AudioChunk]:
        """Frames of one form as one chunk: each chunk costs whoever takes it."""
        frames: list[av.AudioFrame] = []
        for packet in packets:
            try:
                frames += self._codec.decode(packet)
                self._spoilt = 0
            except av.error.FFmpegError as error:  # the first packets of a stream may refer to ones before them
                self._spoilt += 1
                if self._spoilt > _MOST_SPOILT:
                    raise TTSError(f"what the service sent cannot be decoded: {error}", "broken") from error
        return [
            AudioChunk(_mono(np.concatenate([_planar(frame) for frame in alike], axis=1)), rate)
            for (rate, _), alike in groupby((frame for frame in frames if frame.samples), _form)
        ]


class Mp3Decoder(_Frames):
    """MPEG audio, of any version and rate."""

    def __init__(self) -> None:
        super().__init__("mp3")
        self._tag = Id3Tag()

    def push(self, data: bytes) -> list[AudioChunk]:
        sound = self._tag.feed(data)
        return self._decoded(self._codec.parse(sound)) if sound else []

    def finish(self) -> list[AudioChunk]:
        return self._decoded([*self._codec.parse(b""), None])


class LawDecoder(_Frames):
    """G.711, mono."""

    def __init__(self, law: str, rate: int) -> None:
        super().__init__({"ulaw": "pcm_mulaw", "alaw": "pcm_alaw"}[law])
        self._codec.sample_rate, self._codec.layout = rate, "mono"

    def push(self, data: bytes) -> list[AudioChunk]:
        return self._decoded([av.Packet(data)]) if data else []

    def finish(self) -> list[AudioChunk]:
        return []


class OpusDecoder(_Frames):
    """Opus in Ogg pages, RFC 7845; at 48 kHz."""

    def __init__(self) -> None:
        super().__init__("libopus")
        self._codec.sample_rate, self._codec.layout = _OPUS_RATE, "mono"
        self._packets = OggPackets()
        self._heads = 2  # OpusHead and OpusTags are no sound
        self._skip = 0  # samples that the encoder put before the sound

    def push(self, data: bytes) -> list[AudioChunk]:
        packets = self._packets.feed(data)
        if packets and self._heads == 2:
            if packets[0][:8] != b"OpusHead":
                raise TTSError("the service sent Ogg, but no Opus", "broken")
            self._skip = int.from_bytes(packets[0][10:12], "little")
        heads, self._heads = self._heads, max(0, self._heads - len(packets))
        sound = filter(None, packets[heads:])  # an empty one would tell libav that the stream is over
        return self._own(self._decoded(av.Packet(packet) for packet in sound))

    def finish(self) -> list[AudioChunk]:
        if self._packets.cut:
            raise TTSError("the service sent Ogg that is cut: its last page is missing", "broken")
        return self._own(self._decoded([None]))

    def _own(self, chunks: list[AudioChunk]) -> list[AudioChunk]:
        own = []
        for chunk in chunks:
            data, self._skip = chunk.data[self._skip :], max(0, self._skip - len(chunk.data))
            if len(data):
                own.append(AudioChunk(data, chunk.sample_rate))
        return own


def _form(frame: av.AudioFrame) -> tuple[int, int]:
    return frame.sample_rate, len(frame.layout.channels)


def _planar(frame: av.AudioFrame) -> Float32:
    """Float samples in -1..1, (channels, samples)."""
    channels = len(frame.layout.channels)
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, channels).T
    scale = 1.0 if samples.dtype.kind == "f" else 2.0 ** (8 * samples.dtype.itemsize - 1)
    return np.asarray(samples / scale, np.float32)


def _mono(samples: Float32) -> Int16:
    """(channels, samples) in -1..1 to int16 (samples,)."""
    scaled: Int16 = np.clip(np.rint(samples.mean(axis=0) * 32768), -32768, 32767).astype(np.int16)
    return scaled
