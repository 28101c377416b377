"""What wraps sound on its way: a WAV's header, Ogg's pages, an MP3's tag. Read as it comes, in pieces of any size."""

from __future__ import annotations

import struct

from opentalking.tts.base import TTSError

_PCM, _EXTENSIBLE = 1, 0xFFFE  # WAVE_FORMAT_…
_MOST_SOUND = 1 << 28  # bytes: a larger size stands for one that was not known when the header was sent
_MOST_HEADER = 1 << 20  # bytes before the sound begins: lists of tags, at most
_LAST_PAGE = 4  # a bit of the page's flags, its byte 5
_PAGE_HEADER = 27  # bytes before the segments' lengths, whose number is the last of them: RFC 3533, section 6


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
        self._left = size if 0 < size < _MOST_SOUND else None
        data, self._waiting = self._waiting[at:], b""
        return self._sound(data)

    @property
    def cut(self) -> bool:
        """Whether sound is missing that the header told of."""
        return bool(self._left)

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
    """What an MP3 may begin with, and what is no sound: ID3v2, 10 bytes and as many as they say. It is not kept."""

    def __init__(self) -> None:
        self._waiting = b""
        self._left: int | None = None  # bytes of the tag that are to come, None while nobody knows

    def feed(self, data: bytes) -> bytes:
        """The bytes of sound among these."""
        if self._left is None:
            self._waiting += data
            self._left, data = self._size(), self._waiting
            if self._left is None:
                return b""
            self._waiting = b""
        skipped, self._left = min(self._left, len(data)), max(0, self._left - len(data))
        return data[skipped:]

    def _size(self) -> int | None:
        """Bytes of the tag with its own ten, 0 if there is none, None while that cannot be told."""
        if self._waiting[:3] != b"ID3"[: len(self._waiting)]:
            return 0
        if len(self._waiting) < 10:
            return None
        return 10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(self._waiting[6:10])))


class OggPackets:
    """Pages to packets, RFC 3533; a packet may go on over pages.

    A packet is there with its last byte, not with its page's: encoders put up to a second into a page."""

    def __init__(self) -> None:
        self._waiting = b""
        self._lacing = b""  # lengths of the segments of this page that are to come
        self._packet = b""
        self._last_page = False

    @property
    def cut(self) -> bool:
        """Whether a page or a packet was begun and not ended, or the last page is missing, which says that it is it."""
        return bool(self._waiting or self._lacing or self._packet) or not self._last_page

    def feed(self, data: bytes) -> list[bytes]:
        """Packets that are complete with these bytes. Raises TTSError if they are no Ogg."""
        self._waiting += data
        packets: list[bytes] = []
        while self._lacing or self._page_begins():
            at = segments = 0
            for length in self._lacing:
                if at + length > len(self._waiting):
                    break
                self._packet += self._waiting[at : at + length]
                if len(self._packet) > _MOST_HEADER:
                    raise TTSError("the service sent an Ogg packet without end", "broken")
                at, segments = at + length, segments + 1
                if length < 255:
                    packets.append(self._packet)
                    self._packet = b""
            self._waiting, self._lacing = self._waiting[at:], self._lacing[segments:]
            if self._lacing:
                break
        return packets

    def _page_begins(self) -> bool:
        """Take a page's header off, if all of it is there."""
        if self._waiting[:4] != b"OggS"[: len(self._waiting)]:
            raise TTSError("the service sent no Ogg", "broken")
        if len(self._waiting) < _PAGE_HEADER or len(self._waiting) < (end := _PAGE_HEADER + self._waiting[26]):
            return False
        self._last_page = bool(self._waiting[5] & _LAST_PAGE)
        self._waiting, self._lacing = self._waiting[end:], self._waiting[_PAGE_HEADER:end]
        return True
