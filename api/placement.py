"""Where a new session goes: the node with the fewest sessions that has all three roles ready and room in each.

A session's media cross its node's shared memory, so its three workers are always of one node. A model that was measured
to serve so many sessions on a device gets no more there: one more would make all of them stutter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from api.errors import ApiError
from opentalking.store import ROLES, Session, WorkerBeat

RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Placement:
    """A node, and one worker of each role on it."""

    node: str
    speech: str
    inference: str
    rtc: str


def place(workers: Iterable[WorkerBeat], sessions: Sequence[Session], max_sessions: int, model: str = "") -> Placement:
    """Choose. `max_sessions` is per node; with `model`, only inference workers that can serve it count.

    Sessions are counted from their hashes, not from the heartbeats, which are up to a second old.
    Raises ApiError 503 no_workers, or at_capacity.
    """
    nodes = _by_node_and_role(workers, model)
    complete = {node: roles for node, roles in nodes.items() if all(roles[role] for role in ROLES)}
    if not complete:
        raise _no_workers(nodes)
    for node in sorted(complete, key=lambda name: (_count(sessions, node=name), name)):
        if _count(sessions, node=node) >= max_sessions:
            continue
        chosen = {role: _least_busy(complete[node][role], sessions, model) for role in ROLES}
        speech, inference, rtc = chosen["speech"], chosen["inference"], chosen["rtc"]
        if speech and inference and rtc:
            return Placement(node, speech, inference, rtc)
    detail = "every node has as many sessions as it may"
    limits = [limit for node in complete.values() for one in node["inference"] if (limit := _limit(one, model))]
    if limits:
        detail += f", or as many as the model {model} was measured to serve there: {sum(limits)}"
    raise ApiError(503, "at_capacity", detail, {"Retry-After": str(RETRY_AFTER_S)})


def is_ready(worker: WorkerBeat) -> bool:
    """A worker beats from its first second, and says when it has loaded what it needs."""
    return bool(worker.info.get("ready", True))


def serves(worker: WorkerBeat, model: str) -> bool:
    """Whether an inference worker says that it can serve a model. One that is still loading says nothing: it may."""
    return not worker.info.get("models") or bool(_told(worker, model).get("connected"))


def is_full(worker: WorkerBeat, own: Iterable[Session], model: str) -> bool:
    """Whether as many of the worker's own sessions use a model as it was measured to serve there."""
    limit = _limit(worker, model)
    return limit is not None and sum(session.model == model for session in own) >= limit


def _limit(worker: WorkerBeat, model: str) -> int | None:
    """How many sessions of a model this worker was measured to serve; None if there is no such limit."""
    limit = _told(worker, model).get("max_sessions")
    return limit if isinstance(limit, int) else None


def _told(worker: WorkerBeat, model: str) -> dict[str, Any]:
    return next((entry for entry in worker.info.get("models") or () if entry.get("id") == model), {})


def _by_node_and_role(workers: Iterable[WorkerBeat], model: str) -> dict[str, dict[str, list[WorkerBeat]]]:
    nodes: dict[str, dict[str, list[WorkerBeat]]] = defaultdict(lambda: defaultdict(list))
    for worker in workers:
        if is_ready(worker) and (not model or worker.role != "inference" or serves(worker, model)):
            nodes[worker.node][worker.role].append(worker)
    return nodes


def _count(sessions: Iterable[Session], node: str) -> int:
    return sum(session.node == node for session in sessions)


def _least_busy(workers: Iterable[WorkerBeat], sessions: Sequence[Session], model: str) -> str | None:
    """The worker with the fewest sessions that has room; None if none has."""
    busy: dict[str, int] = {}
    for worker in workers:
        own = [session for session in sessions if worker.worker in session.workers]
        if len(own) < worker.capacity and not is_full(worker, own, model):
            busy[worker.worker] = len(own)
    return min(busy, key=lambda name: (busy[name], name), default=None)


def _no_workers(nodes: dict[str, dict[str, list[WorkerBeat]]]) -> ApiError:
    alive = {role for roles in nodes.values() for role in roles if roles[role]}
    missing = [role for role in ROLES if role not in alive]
    detail = (
        f"no {' and no '.join(missing)} worker is ready" if missing else "no node has all three kinds of worker ready"
    )
    return ApiError(503, "no_workers", detail, {"Retry-After": str(RETRY_AFTER_S)})
