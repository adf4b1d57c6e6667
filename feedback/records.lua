-- Returns for each record its fields and the log entries of its decision and its outcome ('' where there is none).
-- KEYS: log, records. An archived decision's events stand in the record itself, as D and O.
local function event(id)
  local found = id and redis.call('XRANGE', KEYS[1], id, id)
  return found and found[1] and found[1][2][2] or ''
end
local out = {}
for i = 2, #KEYS do
  local fields, at = redis.call('HGETALL', KEYS[i]), {}
  for j = 1, #fields, 2 do at[fields[j]] = fields[j + 1] end
  out[#out + 1] = {fields, at['D'] or event(at['d']), at['O'] or event(at['o'])}
end
return out
