"""The rtc process: peer connections, the media clock, encoding, the playout cursor. `python -m workers.rtc`."""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: this file is loaded again as a module, a little later
    from workers.start import run_worker

    run_worker("rtc", "workers.rtc:RtcService")
    raise SystemExit

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opentalking.rtc import aiortc_seam
from opentalking.rtc.ice import parse_ice_servers, parse_port_range
from opentalking.rtc.idle import LoopLibrary
from opentalking.rtc.peer import OfferError, PeerOptions
from opentalking.store import Command, Offer, Session, ShowAvatar
from workers.lifecycle import Worker
from workers.stage import StageSession

log = logging.getLogger(__name__)


class RtcService:
    """One StageSession a session; encoders share a small thread pool."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        config = worker.config
        self.sessions: dict[str, StageSession] = {}
        self._executor = ThreadPoolExecutor(max(1, os.cpu_count() or 1), "encode")
        self._loops = LoopLibrary(config.video_bitrate)
        self._options = PeerOptions(
            preferred_codec=config.video_codec,
            video_bitrate=config.video_bitrate,
            audio_bitrate=config.audio_bitrate,
            keyframe_min_interval_s=config.keyframe_min_interval_ms / 1000,
            ice_servers=tuple(parse_ice_servers(config.ice_servers)),
            public_address=config.public_address,
        )

    def info(self) -> dict[str, Any]:
        self._loops.sweep()  # with each heartbeat
        playouts = {session_id: stage.figures() for session_id, stage in self.sessions.items()}
        return {"codec": self._options.preferred_codec, "playouts": playouts}

    async def start(self) -> None:
        aiortc_seam.use_host_addresses()
        aiortc_seam.ignore_early_datagrams()
        if ports := parse_port_range(self._worker.config.ice_port_range):
            aiortc_seam.PortRange(*ports)

    async def warm(self) -> None:
        """Nothing more: encoders are made for each browser."""

    async def open(self, session: Session) -> None:
        folder = self._worker.node.session(session.session_id)
        stage = StageSession(session, folder, self._worker, self._options, self._loops, self._executor)
        self.sessions[session.session_id] = stage

    async def handle(self, command: Command) -> None:
        if isinstance(command, ShowAvatar):
            await self._show(command)
            return
        if not isinstance(command, Offer):
            log.warning("not a command for rtc: %s", type(command).__name__)
            return
        if command.deadline < time.time():
            log.info("%s: nobody waits for this offer's answer any more", command.session_id)
            return
        stage = self.sessions.get(command.session_id)
        try:
            if stage is None:
                raise OfferError("the session is not loaded")
            async with asyncio.timeout(command.deadline - time.time()):
                answer = {"sdp": await stage.answer(command.sdp), "type": "answer"}
        except OfferError as error:
            answer = {"code": "bad_offer", "detail": str(error)}
        except TimeoutError:
            answer = {"code": "offer_timeout", "detail": "the offer could not be answered in time"}
        await self._worker.store.reply(command.request_id, answer)

    async def _show(self, command: ShowAvatar) -> None:
        stage = self.sessions.get(command.session_id)
        if stage is None:
            log.warning("no session %s to show %s in", command.session_id, command.avatar_id)
            return
        try:
            await stage.show(command)
        except (OSError, ValueError) as error:  # its pictures are rendered, and cannot be shown
            log.exception("%s has no face", command.session_id)
            await self._worker.fail_session(stage.session, "OPEN_FAILED", f"rtc: {error}")

    def raise_generation(self, session_id: str, generation: int) -> None:
        self.sessions[session_id].board.raise_generation(generation)

    async def close(self, session_id: str, reason: str) -> None:
        await self.sessions.pop(session_id).close()

    async def drain(self, sessions: Sequence[Session], bound_s: float) -> None:
        await self._worker.endings.wait(sessions, bound_s)

    async def stop(self) -> None:
        for session_id in list(self.sessions):
            await self.close(session_id, "worker stopped")
        self._executor.shutdown(wait=False, cancel_futures=True)
