-- Puts a node's entry into a directory, with the time in front of its fields; gives back what was put.
-- KEYS[1]: the directory's. ARGV: the node's name, the entry without its opening brace, for how many seconds
-- the directory is kept.
local key = KEYS[1]
local kind = redis.call('TYPE', key).ok
if kind ~= 'hash' and kind ~= 'none' then
    redis.call('DEL', key)
end
local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local entry = '{"last_heartbeat":' .. now_ms .. ',' .. ARGV[2]
redis.call('HSET', key, ARGV[1], entry)
redis.call('EXPIRE', key, ARGV[3])
return entry
