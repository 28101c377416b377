"""What voices elsewhere share: a pool of connections, and failures as TTSError with a code that the policy knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp

from opentalking.redaction import redacted
from opentalking.tts.base import TTSCode, TTSError

CONNECT_S = 5.0
_READ_BYTES = 4096  # at most, in one piece: what has come is taken at once
_WORDS_BYTES = 16_384  # of a refusal, at most: no more of it is read, and much less told
_AHEAD = 256  # pieces that wait for who listens
_READING: set[asyncio.Task[None]] = set()  # that nothing collects them before they are done
_NO_SOUND = ("text/", "application/json", "application/problem+json")
_IDLE_S = 300.0  # a conversation pauses; a new TLS handshake costs a fragment 100 ms


@dataclass(frozen=True, slots=True)
class Service:
    """How a service is spoken of in errors: its name, the setting of its key, and the key, which is never told."""

    provider: str
    key_setting: str
    key: str

    def error(self, code: TTSCode, what: str, retry_after_s: float | None = None) -> TTSError:
        return TTSError(f"{self.provider}: {redacted(what, [self.key])}", code, retry_after_s)

    def refused(self, status: int, words: str, retry_after: str | None = None) -> TTSError:
        """An HTTP status that is not 200, with the beginning of what the service says about it."""
        words = " ".join(words.split())
        if status in (401, 403) and "quota" not in words:  # ElevenLabs says so of one that is used up
            return self.error("unauthorized", f"the key is refused ({status}); check {self.key_setting}")
        if status in (401, 402, 403, 429):
            return self.error("rate_limited", "its rate limit or quota is used up", _seconds(retry_after))
        if status == 408 or status >= 500:
            return self.error("failed", f"it failed with status {status} {words}".rstrip(), _seconds(retry_after))
        return self.error("bad_request", f"it refuses the request ({status}): {words}")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """What aiohttp and the network raise, as TTSError."""
        try:
            yield
        except TimeoutError as error:
            raise self.error("timeout", "it does not answer") from error
        except aiohttp.WSServerHandshakeError as error:
            wait = error.headers.get("Retry-After") if error.headers else None
            raise self.refused(error.status, error.message, wait) from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise self.error("bad_request", f"its address or voice is not one: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self.error("unreachable", f"no connection: {str(error) or type(error).__name__}") from error


def connections() -> aiohttp.ClientSession:
    """A pool that keeps connections over the pauses of a conversation. Made in the loop that uses it."""
    connector = aiohttp.TCPConnector(keepalive_timeout=_IDLE_S, limit=0)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True)


async def body_of(response: aiohttp.ClientResponse, service: Service) -> AsyncGenerator[bytes, None]:
    """The bytes of an answer as they come. Raises TTSError if it is a refusal, or breaks off."""
    if response.status != 200:
        raise service.refused(response.status, await _words_of(response), response.headers.get("Retry-After"))
    if response.content_type.startswith(_NO_SOUND):  # bare PCM would be played as it is, whatever it is
        raise service.error("broken", f"it sent {response.content_type} for sound: {await _words_of(response)}")
    while data := await response.content.read(_READ_BYTES):
        yield data


async def _words_of(response: aiohttp.ClientResponse) -> str:
    """All of a refusal's words: a piece of them may end within a key, which nobody would know by its half."""
    words = bytearray()
    while data := await response.content.read(_READ_BYTES):
        words += data
        if len(words) > _WORDS_BYTES:
            return ""
    return " ".join(words.decode("utf-8", "replace").split())


async def detached(source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same bytes, read by a task of its own: who stops listening does not wait for a socket to close politely."""
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_AHEAD)

    async def read() -> None:
        try:
            async with aclosing(source):
                async for data in source:
                    await pieces.put(data)
        finally:
            if (task := asyncio.current_task()) is None or not task.cancelling():
                await pieces.put(None)

    reading = asyncio.create_task(read())
    _READING.add(reading)
    reading.add_done_callback(_READING.discard)
    reading.add_done_callback(lambda task: task.cancelled() or task.exception())  # raised to who listens, if anybody
    try:
        while (data := await pieces.get()) is not None:
            yield data
        await reading
    finally:
        reading.cancel()


def _seconds(retry_after: str | None) -> float | None:
    """Of a Retry-After header, seconds or a date; None if it says neither. RFC 9110, section 10.2.3."""
    with suppress(TypeError, ValueError):
        return max(0.0, float(retry_after or ""))
    with suppress(TypeError, ValueError):
        return max(0.0, parsedate_to_datetime(retry_after or "").timestamp() - time.time())
    return None
