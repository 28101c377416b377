"""The few steps that must happen as one: Lua that Redis runs without letting anyone in between.

States of a session, and the only transitions:

    created -> worker_ready -> ready <-> speaking        any of these -> closing, closed, error
    closing -> closed, error                             closed, error: the end

Every change appends `session.state_changed` to the session's events in the same step, so that the order of the events
is the order of the changes, and ending is seen by exactly one caller. `DATA` values are JSON made in Python; only what
depends on the old state is put together here.
"""

from __future__ import annotations

import hashlib

from opentalking.store.keys import ENDED_TTL_S, EVENTS_KEPT


class Script:
    """Lua text and the name under which Redis caches it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha1 = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_EMIT = f"""
local function emit(stream, event, data)
  return redis.call('XADD', stream, 'MAXLEN', '~', {EVENTS_KEPT}, '*', 'event', event, 'data', data)
end
local function change(session, stream, id, old, new)
  redis.call('HSET', session, 'state', new)
  emit(stream, 'session.state_changed', cjson.encode({{session_id = id, old_state = old, new_state = new}}))
end
local function ended(state) return state == 'closed' or state == 'error' end
"""

# KEYS session · ARGV field, value, …  -> 1 if the session exists
UPDATE = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
""")

# KEYS session · ARGV field  -> the field, raised by one; 0 without a session
COUNT_UP = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
""")

# KEYS session, events · ARGV id, new state, now  -> 1 if the state changed
SET_STATE = Script(
    _EMIT
    + """
local old, new = redis.call('HGET', KEYS[1], 'state'), ARGV[2]
if not old or old == new or ended(old) or old == 'closing' then return 0 end
redis.call('HSET', KEYS[1], 'last_active_at', ARGV[3])
change(KEYS[1], KEYS[2], ARGV[1], old, new)
return 1
"""
)

# KEYS session, events · ARGV id, role, DATA of session.queued  -> 1 if this call made all three roles ready
MARK_READY = Script(
    _EMIT
    + """
local old = redis.call('HGET', KEYS[1], 'state')
if not old or ended(old) or old == 'closing' then return 0 end
if redis.call('HSETNX', KEYS[1], 'ready_' .. ARGV[2], '1') == 0 then return 0 end
for _, flag in ipairs(redis.call('HMGET', KEYS[1], 'ready_speech', 'ready_inference', 'ready_rtc')) do
  if not flag then return 0 end
end
if old == 'created' then change(KEYS[1], KEYS[2], ARGV[1], old, 'worker_ready') end
emit(KEYS[2], 'session.queued', ARGV[3])
return 1
"""
)

# KEYS session, events, sessions, history · ARGV id, closed|error, reason, DATA of session.terminated
# -> 1 if this call ended it
END = Script(
    _EMIT
    + f"""
local old, new = redis.call('HGET', KEYS[1], 'state'), ARGV[2]
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[4])
if not old or ended(old) then return 0 end
redis.call('HSET', KEYS[1], 'ended_reason', ARGV[3])
change(KEYS[1], KEYS[2], ARGV[1], old, new)
emit(KEYS[2], 'session.terminated', ARGV[4])
redis.call('EXPIRE', KEYS[1], {ENDED_TTL_S})
redis.call('EXPIRE', KEYS[2], {ENDED_TTL_S})
return 1
"""
)

# KEYS events, session · ARGV event, DATA  -> id of the entry. Events of a session that is over do not live for ever.
EMIT = Script(
    _EMIT
    + f"""
local id, state = emit(KEYS[1], ARGV[1], ARGV[2]), redis.call('HGET', KEYS[2], 'state')
if not state or ended(state) then redis.call('EXPIRE', KEYS[1], {ENDED_TTL_S}) end
return id
"""
)

# KEYS history, session · ARGV JSON  -> 1 if it was kept. What a session that is over remembers would never be removed.
KEEP_HISTORY = Script(
    _EMIT
    + """
local state = redis.call('HGET', KEYS[2], 'state')
if not state or ended(state) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""
)

# KEYS session · ARGV generation  -> the session's generation, now at least that; -1 without a session
REACH_GENERATION = Script("""
local current = redis.call('HGET', KEYS[1], 'generation')
if not current then return -1 end
if tonumber(current) >= tonumber(ARGV[1]) then return tonumber(current) end
redis.call('HSET', KEYS[1], 'generation', ARGV[1])
return tonumber(ARGV[1])
""")

# KEYS session · ARGV id, channel, now, only  -> the new generation, announced; -1 without a session
# With `only`, a generation other than that is left as it is, and returned.
NEXT_GENERATION = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if ARGV[4] ~= '' then
  local current = redis.call('HGET', KEYS[1], 'generation')
  if current ~= ARGV[4] then return tonumber(current) end
end
local generation = redis.call('HINCRBY', KEYS[1], 'generation', 1)
redis.call('HSET', KEYS[1], 'last_active_at', ARGV[3])
redis.call('PUBLISH', ARGV[2], cjson.encode({session_id = ARGV[1], generation = generation}))
return generation
""")

# KEYS lease · ARGV owner, ttl in ms  -> 1 if the owner holds it now
LEASE = Script("""
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

# KEYS lease · ARGV owner
RELEASE = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")
