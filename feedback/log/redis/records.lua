-- Returns for each record its fields and the log entries of its decision and its outcome ('' where there is none); behind
-- the id of each feedback, its log entry. KEYS: log, records.
-- An archived decision's events stand in the record itself: as D, as O, and behind the ids of its feedback.
local function event(id)
  local found = id and redis.call('XRANGE', KEYS[1], id, id)
  return found and found[1] and found[1][2][2] or ''
end
local out = {}
for i = 2, #KEYS do
  local fields, at = redis.call('HGETALL', KEYS[i]), {}
  for j = 1, #fields, 2 do
    local name, value = fields[j], fields[j + 1]
    at[name] = value
    if string.sub(name, 1, 2) == 'f:' and not string.find(value, ' ', 1, true) then
      fields[j + 1] = value .. ' ' .. event(value)
    end
  end
  out[#out + 1] = {fields, at['D'] or event(at['d']), at['O'] or event(at['o'])}
end
return out
