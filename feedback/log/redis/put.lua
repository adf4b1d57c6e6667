-- Appends events to the log and files each in its decision's record, all at once and each once: sent again, an event is
-- not appended, and the first one's id is returned. An event that was erased, or whose decision was, is refused (false).
-- KEYS: log, open decisions, the writer's mark, then each event's record, and behind it its links.
-- ARGV: the mark to leave behind or '', seconds to keep a mark, seconds to keep a record, then for each event its kind
-- (d, o, f), its bytes, and two of: d: decision id, seconds since the epoch; o: decision id, '1' if given up as lost;
-- f: the feedback's own id, ''. For a link: l, '', the decision's id, seconds since the epoch.
-- Returns the mark found, or false, then the events' ids.
local log, open, kept_s = KEYS[1], KEYS[2], ARGV[3]

-- j points at what was filed before the decision, or may have been credited to another arm than its outcome names.
local function append(event, filed)
  if filed then return redis.call('XADD', log, '*', 'e', event, 'j', '') end
  return redis.call('XADD', log, '*', 'e', event)
end

-- What a record has is looked at in few calls: most have nothing when their decision comes, and it alone when their
-- outcome does. Decisions become open, and are so no more, all together in the end.
local put, opened, ended, none = {}, {}, {}, {}

function put.d(record, event, name, at)
  local filed = redis.call('HLEN', record) > 0
  local seen = filed and redis.call('HMGET', record, 'd', 'o', 'x') or none
  if seen[3] then return false end
  if seen[1] then return seen[1] end
  local id = append(event, filed)
  redis.call('HSET', record, 'd', id)
  redis.call('EXPIRE', record, kept_s)
  if not seen[2] then
    opened[#opened + 1] = at
    opened[#opened + 1] = name
  end
  return id
end

-- A real outcome that comes after all replaces a lost one.
function put.o(record, event, name, lost)
  local fields = redis.call('HGETALL', record)  -- each followed by its value
  local decided = #fields == 2 and fields[1] == 'd'
  local seen = #fields > 0 and not decided and redis.call('HMGET', record, 'd', 'o', 'l', 'x') or none
  if seen[4] then return false end
  if seen[2] and (lost == '1' or not seen[3]) then return seen[2] end
  local id = append(event, #fields > ((decided or seen[1]) and 2 or 0))
  redis.call('HSET', record, 'o', id)
  if lost == '1' then redis.call('HSET', record, 'l', '') elseif seen[3] then redis.call('HDEL', record, 'l') end
  if #fields == 0 then redis.call('EXPIRE', record, kept_s) end
  ended[#ended + 1] = name
  return id
end

-- Its decision may still be on its way: feedback is filed all the same.
function put.f(record, event, own_id)
  local field = 'f:' .. own_id
  local seen = redis.call('HMGET', record, 'x', field, 'y:' .. own_id)
  if seen[1] then return false end
  if seen[2] then return string.match(seen[2], '^%S+') end  -- an archived one has its bytes behind its id
  if seen[3] then return false end
  local new = redis.call('EXISTS', record) == 0
  local id = append(event)
  redis.call('HSET', record, field, id)  -- not the bytes: beyond 64 of them the record would take three times the room
  if new then redis.call('EXPIRE', record, kept_s) end
  return id
end

-- A name under which a decision is found: it may stand for several, of which the newest 100 are kept.
local function link(key, name, at)
  redis.call('ZADD', key, at, name)
  redis.call('ZREMRANGEBYRANK', key, 0, -101)
  redis.call('EXPIRE', key, kept_s)
end

local out = {false}
for i = 4, #KEYS do
  local at = 4 * (i - 3)
  if ARGV[at] == 'l' then
    if out[#out] then link(KEYS[i], ARGV[at + 2], ARGV[at + 3]) end  -- not of what was refused
  else
    out[#out + 1] = put[ARGV[at]](KEYS[i], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
  end
end
if #opened > 0 then redis.call('ZADD', open, unpack(opened)) end
if #ended > 0 then redis.call('ZREM', open, unpack(ended)) end
if ARGV[1] ~= '' then
  out[1] = redis.call('GET', KEYS[3])
  redis.call('SET', KEYS[3], ARGV[1], 'EX', ARGV[2])
end
return out
