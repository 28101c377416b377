"""Microsoft Edge's read-aloud voices by edge-tts: hundreds, in all languages, no key. MP3, 24 kHz.

The library opens a WebSocket for each fragment and has no way to keep one. It is imported at the first use.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from opentalking.config import Settings
from opentalking.tts.base import Voice
from opentalking.tts.decoding import speech
from opentalking.tts.service import CONNECT_S, Service, detached
from opentalking.types import AudioChunk

_RATE = 24_000
# the first of each language that is asked for most; any other name of the service's list can be given
_VOICES = (
    ("en-US-EmmaMultilingualNeural", "Emma", "en-US"),
    ("en-US-AndrewMultilingualNeural", "Andrew", "en-US"),
    ("en-GB-SoniaNeural", "Sonia", "en-GB"),
    ("zh-CN-XiaoxiaoNeural", "Xiaoxiao", "zh-CN"),
    ("zh-CN-YunxiNeural", "Yunxi", "zh-CN"),
    ("zh-HK-HiuMaanNeural", "HiuMaan", "zh-HK"),
    ("zh-TW-HsiaoChenNeural", "HsiaoChen", "zh-TW"),
    ("ja-JP-NanamiNeural", "Nanami", "ja-JP"),
    ("ko-KR-SunHiNeural", "SunHi", "ko-KR"),
    ("de-DE-SeraphinaMultilingualNeural", "Seraphina", "de-DE"),
    ("fr-FR-VivienneMultilingualNeural", "Vivienne", "fr-FR"),
    ("es-ES-ElviraNeural", "Elvira", "es-ES"),
    ("pt-BR-ThalitaMultilingualNeural", "Thalita", "pt-BR"),
)


class EdgeTTS:
    """TTSAdapter; a voice is a name of the service's list, such as zh-CN-XiaoxiaoNeural."""

    provider = "edge"
    sample_rates = (_RATE,)
    any_voice = True

    def __init__(self, settings: Settings) -> None:
        self._default_voice = settings.tts_edge_voice
        self._service = Service(self.provider, "", "")

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """It is a dependency, and wants no key."""
        return None

    async def warmup(self) -> None:
        """Nothing is kept from one fragment to the next."""

    def voices(self) -> list[Voice]:
        return [Voice(self.provider, *voice) for voice in _VOICES]

    def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        return speech(text, lambda text: detached(self._mp3(text, voice or self._default_voice)), "mp3", _RATE)

    async def _mp3(self, text: str, voice: str) -> AsyncGenerator[bytes, None]:
        import edge_tts
        from edge_tts.exceptions import EdgeTTSException, NoAudioReceived

        try:
            with self._service.errors():
                speaking = edge_tts.Communicate(text, voice, connect_timeout=int(CONNECT_S))
                async with aclosing(speaking.stream()) as parts:
                    async for part in parts:
                        if part["type"] == "audio":
                            yield part["data"]
                if speaking.state["chunk_audio_bytes"]:  # the library counts them elsewhere at the service's turn.end
                    raise self._service.error("unreachable", "the connection was lost in the middle of a sentence")
        except NoAudioReceived as error:
            # the library does not tell a voice that there is not from a connection that was lost
            raise self._service.error("failed", f"no sound for the voice {voice!r}; is there such a voice?") from error
        except EdgeTTSException as error:
            raise self._service.error("failed", str(error) or type(error).__name__) from error

    async def aclose(self) -> None:
        """Nothing to let go of."""
