"""One RTP stream as bytes: header (RFC 3550), extensions (RFC 8285), retransmission (RFC 4588).

    V P X CC │ M PT │ sequence │ time stamp │ SSRC │ 0xBEDE, length │ mid │ abs-send-time │ padding │ payload
    └────────────── packed for each packet ───────┘└──────── fixed but for three bytes ──────────┘

aiortc builds an object, a map of extensions and two time stamps for each packet; that was half of a session's CPU.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_HEADER = struct.Struct("!BBHII")
_VERSION_2_WITH_EXTENSION = 0x90
_VERSION_2 = 0x80
_MARKER = 0x80
_ONE_BYTE_EXTENSIONS = 0xBEDE
_HISTORY = 256  # packets kept for retransmission: three seconds of a speaking face
_UINT16, _UINT32 = 0xFFFF, 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """What was negotiated. An extension's id of 0, and an `rtx_payload_type` of 0, mean that it was not."""

    ssrc: int
    payload_type: int
    mid: str = ""
    mid_id: int = 0
    abs_send_time_id: int = 0
    rtx_ssrc: int = 0
    rtx_payload_type: int = 0


class RtpStream:
    """Numbers and writes the packets of one SSRC, and remembers the last ones."""

    def __init__(self, parameters: StreamParameters) -> None:
        self._parameters = parameters
        # in the lower half of the range, as aiortc: an early wrap-around breaks the receiver's decryption
        self._sequence = random.getrandbits(15)
        self._rtx_sequence = random.getrandbits(15)
        self._time_origin = random.getrandbits(32)
        self._before_time, self._after_time = _extensions(parameters)
        self._first_byte = _VERSION_2_WITH_EXTENSION if self._before_time else _VERSION_2
        self._header_bytes = len(self._extension(0)) + _HEADER.size
        self._history: dict[int, bytes] = {}
        self.packets = 0
        self.octets = 0  # of payload, without headers, as sender reports count them

    def packetise(self, payloads: Sequence[bytes], timestamp: int, send_time_s: float) -> list[bytes]:
        """The packets of one frame: its payloads in order, the last one marked.

        `timestamp` counts the stream's own ticks from 0; `send_time_s` is any steady clock's, in seconds.
        """
        written = []
        stamp = self.timestamp(timestamp)
        extension = self._extension(send_time_s)
        kind, last = self._parameters.payload_type, len(payloads) - 1
        for number, payload in enumerate(payloads):
            sequence = self._sequence
            marked = kind | _MARKER if number == last else kind
            header = _HEADER.pack(self._first_byte, marked, sequence, stamp, self._parameters.ssrc)
            packet = b"".join((header, extension, payload))
            self._history[sequence % _HISTORY] = packet
            self._sequence = (sequence + 1) & _UINT16
            self.packets += 1
            self.octets += len(payload)
            written.append(packet)
        return written

    def timestamp(self, ticks: int) -> int:
        """The RTP time stamp of a time in ticks."""
        return (ticks + self._time_origin) & _UINT32

    def retransmit(self, sequence: int) -> bytes | None:
        """The packet of that number once more, in the retransmission stream if there is one; None if it is too old."""
        packet = self._history.get(sequence % _HISTORY)
        if packet is None:
            return None
        first, kind, number, stamp, _ = _HEADER.unpack_from(packet)
        if number != sequence:
            return None
        parameters = self._parameters
        if not parameters.rtx_payload_type:
            return packet
        marked = parameters.rtx_payload_type | (kind & _MARKER)
        header = _HEADER.pack(first, marked, self._rtx_sequence, stamp, parameters.rtx_ssrc)
        self._rtx_sequence = (self._rtx_sequence + 1) & _UINT16
        extension, payload = packet[_HEADER.size : self._header_bytes], packet[self._header_bytes :]
        return b"".join((header, extension, sequence.to_bytes(2, "big"), payload))

    def _extension(self, send_time_s: float) -> bytes:
        if not self._parameters.abs_send_time_id:
            return self._before_time
        time = int(send_time_s * (1 << 18)) & 0xFF_FFFF  # 6.18 fixed point
        return b"".join((self._before_time, time.to_bytes(3, "big"), self._after_time))


def _extensions(parameters: StreamParameters) -> tuple[bytes, bytes]:
    """The extension block before and after the three bytes of abs-send-time."""
    elements = b""
    if parameters.mid_id and parameters.mid:
        mid = parameters.mid.encode()
        elements += bytes([parameters.mid_id << 4 | len(mid) - 1]) + mid
    time_bytes = 0
    if parameters.abs_send_time_id:
        elements += bytes([parameters.abs_send_time_id << 4 | 2])
        time_bytes = 3
    if not elements:
        return b"", b""
    padding = -(len(elements) + time_bytes) % 4
    words = (len(elements) + time_bytes + padding) // 4
    before = struct.pack("!HH", _ONE_BYTE_EXTENSIONS, words) + elements
    return (before, bytes(padding)) if time_bytes else (before + bytes(padding), b"")
