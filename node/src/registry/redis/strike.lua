-- Removes an entry of a directory that still is what was seen.
-- KEYS[1]: the directory's. ARGV: the node's name, what was seen.
local key = KEYS[1]
if redis.call('TYPE', key).ok == 'hash' and redis.call('HGET', key, ARGV[1]) == ARGV[2] then
    return redis.call('HDEL', key, ARGV[1])
end
return 0
