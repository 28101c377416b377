"""What wraps sound on its way: a WAV's header, Ogg's pages, an MP3's tag. Read as it comes, in pieces of any size."""

from __future__ import annotations

import struct

from opentalking.tts.base import TTSError

_PCM, _EXTENSIBLE = 1, 0xFFFE  # WAVE_FORMAT_…
_MOST_HEADER = 1 << 20  # bytes before the sound begins: lists of tags, at most
_PAGE = struct.Struct(
    "<4sBBqIIIB"
)  # RFC 3533: capture pattern, version, type, granule, serial, sequence, checksum, segments


class WavHeader:
    """The chunks before `data`; `format` is (rate in Hz, channels) once they were all read."""

    def __init__(self) -> None:
        self.format: tuple[int, int] | None = None
        self._wanted: tuple[int, int] | None = None
        self._waiting = b""
        self._left: int | None = None  # bytes of sound, None if the header does not know

    def feed(self, data: bytes) -> bytes:
        """The bytes of sound among these. Raises TTSError if this is no 16-bit PCM."""
        if self.format is not None:
            return self._sound(data)
        self._waiting += data
        if len(self._waiting) >= 12 and (self._waiting[:4], self._waiting[8:12]) != (b"RIFF", b"WAVE"):
            raise TTSError("the service sent no WAV", "broken")
        at = 12
        while at + 8 <= len(self._waiting):
            name, size = self._waiting[at : at + 4], int.from_bytes(self._waiting[at + 4 : at + 8], "little")
            if name == b"data":
                return self._begin(at + 8, size)
            if at + 8 + size > len(self._waiting):
                break
            if name == b"fmt ":
                self._wanted = _wav_format(self._waiting[at + 8 : at + 8 + size])
            at += 8 + size + size % 2
        if len(self._waiting) > _MOST_HEADER:
            raise TTSError("the service sent a WAV without sound", "broken")
        return b""

    def _begin(self, at: int, size: int) -> bytes:
        if self._wanted is None:
            raise TTSError("the service sent a WAV that does not say its format", "broken")
        self.format = self._wanted
        self._left = None if size in (0, 0xFFFFFFFF, 0x7FFFFFFF) else size
        data, self._waiting = self._waiting[at:], b""
        return self._sound(data)

    def _sound(self, data: bytes) -> bytes:
        """Not what follows the sound: chunks of tags would be heard as a click."""
        if self._left is None:
            return data
        data = data[: self._left]
        self._left -= len(data)
        return data


def _wav_format(body: bytes) -> tuple[int, int]:
    if len(body) < 16:
        raise TTSError("the service sent a WAV with half a format", "broken")
    kind, channels, rate = struct.unpack_from("<HHI", body)
    (bits,) = struct.unpack_from("<H", body, 14)
    if kind not in (_PCM, _EXTENSIBLE) or bits != 16 or channels not in (1, 2) or not 8_000 <= rate <= 192_000:
        raise TTSError(f"cannot read this WAV: format {kind}, {bits} bit, {channels} channels, {rate} Hz", "broken")
    return rate, channels


class Id3Tag:
    """What an MP3 may begin with, and what is no sound: ID3v2, 10 bytes and as many as they say."""

    def __init__(self) -> None:
        self._waiting: bytes | None = b""  # None once the tag is behind us

    def feed(self, data: bytes) -> bytes:
        """The bytes of sound among these."""
        if self._waiting is None:
            return data
        self._waiting += data
        if self._waiting[:3] != b"ID3"[: len(self._waiting[:3])]:
            tag = 0
        elif len(self._waiting) < 10:
            return b""
        else:  # four times seven bits
            tag = 10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(self._waiting[6:10])))
        if len(self._waiting) < max(tag, 1):
            return b""
        sound, self._waiting = self._waiting[tag:], None
        return sound


class OggPackets:
    """Pages to packets, RFC 3533; a packet may go on over pages."""

    def __init__(self) -> None:
        self._waiting = b""
        self._packet = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Packets that are complete with these bytes. Raises TTSError if they are no Ogg."""
        self._waiting += data
        packets: list[bytes] = []
        while (end := self._page_end()) is not None:
            segments = self._waiting[26]
            at = _PAGE.size + segments
            for lacing in self._waiting[_PAGE.size : at]:
                self._packet += self._waiting[at : at + lacing]
                at += lacing
                if lacing < 255:
                    packets.append(self._packet)
                    self._packet = b""
            self._waiting = self._waiting[end:]
        return packets

    def _page_end(self) -> int | None:
        if self._waiting[:4] != b"OggS"[: len(self._waiting[:4])]:
            raise TTSError("the service sent no Ogg", "broken")
        if len(self._waiting) < _PAGE.size or len(self._waiting) < _PAGE.size + self._waiting[26]:
            return None
        end = _PAGE.size + self._waiting[26] + sum(self._waiting[_PAGE.size : _PAGE.size + self._waiting[26]])
        return end if len(self._waiting) >= end else None
