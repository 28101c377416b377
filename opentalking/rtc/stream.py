"""One browser's video stream: joins live encoding and the shared idle loop into one decodable sequence.

speech        live live live                                    live …
fallback                     live live
idle                                   live … live │ loop loop loop loop …
                                                   └ a keyframe of the loop: the decoder needs nothing before it
live after the loop begins with a keyframe, as does a browser's request for one, and as does another face, which may be
of another size.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable

from opentalking.rtc.idle import Face
from opentalking.rtc.playout import Picture
from opentalking.rtc.video import Codec, VideoEncoder


class VideoStream:
    """Turns pictures into access units. `encode` may run in a thread, one call at a time."""

    def __init__(
        self,
        encoder: VideoEncoder,
        keyframe_min_interval_s: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._encoder = encoder
        self._face: Callable[[], Face | None] = lambda: None  # of the last picture; held by those who show it
        self._interval = keyframe_min_interval_s
        self._now = now
        self._looping = False
        self._pose = -1
        self._key_wanted = True
        self._key_at = -float("inf")
        self.live_frames = 0
        self.loop_frames = 0

    @property
    def codec(self) -> Codec:
        return self._encoder.codec

    def request_keyframe(self) -> None:
        """A browser lost the picture; granted at most once per interval."""
        if self._now() - self._key_at >= self._interval:
            self._key_wanted = True

    def set_bitrate(self, bitrate: int) -> None:
        self._encoder.set_bitrate(bitrate)

    def close(self) -> None:
        """Free the encoder."""
        self._encoder.close()

    def needs_encoder(self, picture: Picture) -> bool:
        """Whether `encode` will compute for a millisecond or only look up."""
        return self._loop_unit(picture) is None

    def encode(self, picture: Picture) -> bytes:
        """The access unit of the next picture."""
        unit = self._loop_unit(picture)
        self._pose = picture.pose
        if picture.face is not self._face():
            self._face, self._looping, self._key_wanted = weakref.ref(picture.face), False, True
        if unit is not None:
            if self._key_wanted or not self._looping:  # it joins, or answers a request: a keyframe
                self._looping, self._key_wanted, self._key_at = True, False, self._now()
            self.loop_frames += 1
            return unit
        keyframe = self._key_wanted or self._looping
        self._looping = self._key_wanted = False
        if keyframe:
            self._key_at = self._now()  # what is asked for while it is being encoded is this one
        pixels = picture.face.clip[picture.pose] if picture.pixels is None else picture.pixels
        unit, is_key = self._encoder.encode(pixels, keyframe)
        if is_key:
            self._key_at = self._now()
        self.live_frames += 1
        return unit

    def _loop_unit(self, picture: Picture) -> bytes | None:
        if picture.pixels is not None:
            return None
        loop = picture.face.loop_of(self.codec)
        if loop is None:
            return None
        looping = self._looping and not self._key_wanted and picture.face is self._face()
        follows = looping and picture.pose == (self._pose + 1) % len(loop.units)
        return loop.units[picture.pose] if follows or loop.is_entry(picture.pose) else None
