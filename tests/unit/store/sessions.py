"""Sessions and heartbeats as the tests of this room need them."""

from __future__ import annotations

from typing import Any

import msgspec

from opentalking.store import NewSession, WorkerBeat

SID = "sess_0f3c9a71be22"


def new_session(session_id: str = SID, **changes: Any) -> NewSession:
    plain = NewSession(
        session_id=session_id,
        avatar_id="presenter",
        model="portrait",
        node="a",
        speech_worker="a:speech-1",
        inference_worker="a:inference-1",
        rtc_worker="a:rtc-1",
        width=512,
        height=512,
    )
    return msgspec.structs.replace(plain, **changes)


def beat(worker: str, **changes: Any) -> WorkerBeat:
    node, _, rest = worker.partition(":")
    plain = WorkerBeat(
        worker=worker,
        role=rest.rpartition("-")[0],
        node=node,
        pid=4711,
        incarnation="i1",
        started_at=1.0,
        capacity=4,
    )
    return msgspec.structs.replace(plain, **changes)
