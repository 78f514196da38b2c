-- Reads a directory: the time in milliseconds, how much of it cannot be entries, then names and entries by turns.
-- KEYS[1]: the directory's. ARGV: how many are read, bytes of a name and of an entry at most.
local key = KEYS[1]
local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local kind = redis.call('TYPE', key).ok
if kind ~= 'hash' then
    return {now_ms, kind == 'none' and 0 or 1}
end
local count_max, name_max, entry_max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local found, corrupt, count, cursor = {now_ms, 0}, 0, 0, '0'
repeat
    local page = redis.call('HSCAN', key, cursor, 'COUNT', 100)
    cursor = page[1]
    for at = 1, #page[2], 2 do
        local name, entry = page[2][at], page[2][at + 1]
        if #name <= name_max and #entry <= entry_max and count < count_max then
            found[#found + 1] = name
            found[#found + 1] = entry
        else
            corrupt = corrupt + 1
        end
        count = count + 1
    end
until cursor == '0' or count >= count_max
found[2] = corrupt
return found
