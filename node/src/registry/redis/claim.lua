-- Reads what lies at a room's key, or puts a record there if the claim that is expected still lies there:
-- `apply` of isocast_claims::store.
-- KEYS[1]: the room's. ARGV: nothing, to read; else the three values of the expected mark, for how many
-- seconds the record is kept, and its fields, each followed by its value.
local MARK = {'epoch', 'publisher_node', 'incarnation'}
local REST = {
    'started_at', 'status', 'last_heartbeat', 'viewer_count', 'key_fingerprint', 'next_msn', 'reserved',
    'target_duration', 'discontinuity_sequence', 'program_date_time', 'source_dts', 'source_offset',
}
local BYTES_MAX = 256

local key = KEYS[1]
local kind = redis.call('TYPE', key).ok

-- Garbage that somebody put there may be large: of the mark this much counts, of the rest nothing is as long.
local function field(name)
    if kind ~= 'hash' then
        return false
    end
    local value = redis.call('HGET', key, name)
    return value and string.sub(value, 1, BYTES_MAX)
end

local mark = {}
local is_expected = #ARGV > 0
for at, name in ipairs(MARK) do
    mark[at] = field(name)
    is_expected = is_expected and (mark[at] or '') == ARGV[at]
end

if is_expected then
    local time = redis.call('TIME')
    local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
    redis.call('DEL', key)
    redis.call('HSET', key, 'last_heartbeat', now_ms, unpack(ARGV, 5))
    redis.call('EXPIRE', key, ARGV[4])
    return 1
end

local found = {kind == 'none' and 0 or 1}
for at = 1, #MARK do
    found[#found + 1] = mark[at]
end
for _, name in ipairs(REST) do
    local is_long = kind == 'hash' and redis.call('HSTRLEN', key, name) > BYTES_MAX
    if is_long then
        found[#found + 1] = ''
    else
        found[#found + 1] = field(name)
    end
end
return found
