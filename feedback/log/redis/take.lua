-- Takes amounts from windows for requests, each wholly or not at all, and settles what earlier ones came to.
-- A window is a hash: s, the sum; of a sliding one, also f, the first second it knows of, and each second's own amount.
-- A second leaves it whole, once all of it is a minute ago: so no 60 s ever hold more than the limit.
-- KEYS: the windows. ARGV: seconds since the epoch or '' for the server's own; then for each request the number of its
-- amounts, and for each of them the window's place in KEYS, its kind (m: sliding, c: of the calendar), the limit ('': it
-- settles), the amount, the seconds to keep a window of the calendar, and the second that is settled ('': now).
-- Returns for each request: 0, or the place of the amount that does not fit; the milliseconds until it would (-1: not in
-- this window); the second; and for each amount that is limited what its window holds now.
local MINUTE = 61
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local second = math.floor(now)
local windows, at = {}, 2

local function whole(number) return string.format('%.0f', number) end

local function next_word()
  at = at + 1
  return ARGV[at - 1]
end

-- Returns a window as it is now: what is a minute ago is gone from it.
local function window(place, kind, keep_s)
  local known = windows[place]
  if known then return known end
  local key = KEYS[place]
  local seen = redis.call('HMGET', key, 's', 'f')
  known = {key = key, kind = kind, keep_s = keep_s, sum = tonumber(seen[1] or 0), first = second, added = 0}
  known.is_new = not seen[1]
  windows[place] = known
  local first = tonumber(seen[2] or second)
  if kind == 'm' and first <= second - 2 * MINUTE then
    redis.call('DEL', key)
    known.sum, known.is_new = 0, true
  elseif kind == 'm' then
    known.first = first
    while known.first <= second - MINUTE do
      known.sum = known.sum - tonumber(redis.call('HGET', key, known.first) or 0)
      redis.call('HDEL', key, known.first)
      known.first = known.first + 1
    end
  end
  return known
end

-- Returns the milliseconds until as much has left a sliding window as is too much now.
local function wait_ms(known, too_much)
  if known.kind ~= 'm' then return -1 end
  for from = known.first, second do
    too_much = too_much - tonumber(redis.call('HGET', known.key, from) or 0)
    if from == second then too_much = too_much - known.added end
    if too_much <= 0 then return math.ceil((from + MINUTE - now) * 1000) end
  end
  return -1
end

local function settle(known, amount, from)
  if known.kind == 'c' and not known.is_new then
    known.sum, known.changed = known.sum + amount, true
  elseif known.kind == 'm' and from >= known.first and from <= second then
    known.sum, known.changed = known.sum + amount, true
    redis.call('HINCRBY', known.key, from, whole(amount))
  end
end

local out = {}
while at <= #ARGV do
  local asked, refused, wait = {}, 0, 0
  for k = 1, tonumber(next_word()) do
    local place, kind, limit = tonumber(next_word()), next_word(), tonumber(next_word())
    local amount, keep_s, from = tonumber(next_word()), next_word(), tonumber(next_word())
    local known = window(place, kind, keep_s)
    asked[k] = {known, amount}
    if not limit then
      settle(known, amount, from)
    elseif known.sum + amount > limit then
      local until_fits = amount > limit and -1 or wait_ms(known, known.sum + amount - limit)
      if refused == 0 or until_fits < 0 or (wait >= 0 and until_fits > wait) then refused, wait = k, until_fits end
    end
    asked[k].counts = limit ~= nil
  end
  local reply = {refused, wait, second}
  for _, each in ipairs(asked) do
    local known, amount = each[1], each[2]
    if each.counts then
      if refused == 0 then
        known.sum, known.added, known.changed = known.sum + amount, known.added + amount, true
      end
      reply[#reply + 1] = math.floor(known.sum)
    end
  end
  out[#out + 1] = reply
end

for _, known in pairs(windows) do
  if known.kind == 'm' and known.changed then
    redis.call('HSET', known.key, 's', whole(known.sum), 'f', known.first)
    if known.added > 0 then redis.call('HINCRBY', known.key, second, whole(known.added)) end
    redis.call('EXPIRE', known.key, 2 * MINUTE)
  elseif known.changed then
    redis.call('HSET', known.key, 's', whole(known.sum))
    redis.call('EXPIRE', known.key, known.keep_s)
  end
end
return out
