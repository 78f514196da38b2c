-- Reads the list of live rooms: how much of it cannot be rooms, then the rooms.
-- KEYS[1]: the list's. ARGV: how many are read, bytes of one at most.
local key = KEYS[1]
local kind = redis.call('TYPE', key).ok
if kind ~= 'set' then
    return {kind == 'none' and '0' or '1'}
end
local count_max, bytes_max = tonumber(ARGV[1]), tonumber(ARGV[2])
local found, corrupt, count, cursor = {'0'}, 0, 0, '0'
repeat
    local page = redis.call('SSCAN', key, cursor, 'COUNT', 500)
    cursor = page[1]
    for _, room in ipairs(page[2]) do
        if #room <= bytes_max and count < count_max then
            found[#found + 1] = room
        else
            corrupt = corrupt + 1
        end
        count = count + 1
    end
until cursor == '0' or count >= count_max
found[1] = tostring(corrupt)
return found
