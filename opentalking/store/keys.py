"""Every key and channel of the project, named once. `docs/redis.md` shows them to a person.

session:{id} hash · sessions zset · events:{id} stream · history:{id} string · commands:{worker} stream ·
reply:{request} list · worker:{worker} hash with a time to live · workers zset · lease:{name} string · interrupt
channel.
"""

from __future__ import annotations

PREFIX = "opentalking:"

SESSIONS = PREFIX + "sessions"  # zset: id of every live session -> created_at
WORKERS = PREFIX + "workers"  # zset: id of every worker seen -> its last beat
INTERRUPT = PREFIX + "interrupt"  # pub/sub channel

ENDED_TTL_S = 600  # an ended session can still be read for this long
REPLY_TTL_S = 30  # a reply that nobody fetched
EVENTS_KEPT = 1000  # a session's events that can be replayed, about
COMMANDS_KEPT = 10_000  # a worker's unhandled commands, about; a bound, not a working size


def session(session_id: str) -> str:
    return f"{PREFIX}session:{session_id}"


def events(session_id: str) -> str:
    return f"{PREFIX}events:{session_id}"


def history(session_id: str) -> str:
    return f"{PREFIX}history:{session_id}"


def commands(worker_id: str) -> str:
    return f"{PREFIX}commands:{worker_id}"


def reply(request_id: str) -> str:
    return f"{PREFIX}reply:{request_id}"


def worker(worker_id: str) -> str:
    return f"{PREFIX}worker:{worker_id}"


def lease(name: str) -> str:
    return f"{PREFIX}lease:{name}"
