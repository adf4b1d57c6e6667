-- Appends that some feedback on a decision is quarantined or released, and notes in its record which event says so.
-- KEYS: log, record. ARGV: event, seconds to keep a new record, how many statements, for each its id and how often it had
-- been turned when that was decided, then names and values of the record's fields for a record that has expired.
-- Returns the event's id, or false, with nothing written, where somebody has turned one of them meanwhile.
local log, record, count = KEYS[1], KEYS[2], tonumber(ARGV[3])
if redis.call('HEXISTS', record, 'd') == 0 then
  for i = 4 + 2 * count, #ARGV, 2 do redis.call('HSET', record, ARGV[i], ARGV[i + 1]) end
  if redis.call('EXISTS', record) == 1 then redis.call('EXPIRE', record, ARGV[2]) end
end
local fields = {}
for i = 1, count do
  local name, seen = 'z:' .. ARGV[2 + 2 * i], tonumber(ARGV[3 + 2 * i])
  local turns = redis.call('HGET', record, name)
  local _, had = string.gsub(turns or '', '%S+', '')
  if had ~= seen then return false end
  fields[#fields + 1] = {name, turns}
end
local id = redis.call('XADD', log, '*', 'e', ARGV[1])
for _, field in ipairs(fields) do
  redis.call('HSET', record, field[1], field[2] and (field[2] .. ' ' .. id) or id)
end
return id
