-- Lists rooms as live. KEYS[1]: the list's. ARGV: the rooms.
local key = KEYS[1]
local kind = redis.call('TYPE', key).ok
if kind ~= 'set' and kind ~= 'none' then
    redis.call('DEL', key)
end
return redis.call('SADD', key, unpack(ARGV))
