"""A recording as people send it (wav, mp3, m4a, webm, ogg, flac, …), to the PCM that recognisers hear. By libav.

The bytes come from anybody. So only containers of sound are opened, not playlists, which name other files and addresses
for the server to read; nothing but these bytes can be opened; and decoding ends where the recording is too long.
"""

from __future__ import annotations

import io

import av
import numpy as np
from av.audio.resampler import AudioResampler

from opentalking.types import MODEL_RATE, Int16

_CONTAINERS = "wav,w64,aiff,au,caf,mp3,aac,ac3,amr,flac,ogg,mov,matroska,webm,asf,avi,flv,mpeg,mpegts"


class AudioFileError(ValueError):
    """A recording cannot be used; the message says why."""


def decode(content: bytes, longest_s: float) -> Int16:
    """The first sound track, 16 kHz mono. Raises AudioFileError. Takes a core for a while: for a thread."""
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"}
    resampler = AudioResampler("s16", "mono", MODEL_RATE)
    pieces: list[Int16] = []
    samples = 0
    try:
        with av.open(io.BytesIO(content), "r", container_options=options) as container:
            if not container.streams.audio:
                raise AudioFileError("there is no sound in it")
            for frame in container.decode(audio=0):
                for resampled in resampler.resample(frame):
                    pieces.append(resampled.to_ndarray()[0])
                    samples += len(pieces[-1])
                if samples > longest_s * MODEL_RATE:
                    raise AudioFileError(f"it is longer than {longest_s:g} s")
            pieces.extend(resampled.to_ndarray()[0] for resampled in resampler.resample(None))
    except (av.FFmpegError, ValueError, OverflowError) as error:
        if isinstance(error, AudioFileError):
            raise
        raise AudioFileError(f"it cannot be read as a recording: {getattr(error, 'strerror', error)}") from None
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
