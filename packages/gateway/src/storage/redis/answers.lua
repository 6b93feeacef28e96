-- Answers under idempotency keys, and claims to the calls that make them. One call of this script is one step.
--
-- KEYS: entry, ends (ids by the end of their life, ms), sizes (bytes by id), total (bytes)
-- ARGV: operation, id, fingerprint, owner, lease (ms), and for `keep`: head, body, ttl (ms), most bytes, most entries,
--       prefix of all entries
local entry, ends, sizes, total = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local operation, id, fingerprint, owner = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease = tonumber(ARGV[5])

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function forget(name)
  local bytes = tonumber(redis.call('HGET', sizes, name) or '0')
  redis.call('HDEL', sizes, name)
  redis.call('ZREM', ends, name)
  if bytes > 0 then redis.call('DECRBY', total, bytes) end
end

local function forget_ended()
  local ended = redis.call('ZRANGEBYSCORE', ends, '-inf', now_ms(), 'LIMIT', 0, 500)
  for _, name in ipairs(ended) do forget(name) end
  return #ended
end

local had = redis.call('HMGET', entry, 'fingerprint', 'owner', 'head')
local exists, is_claim = had[1], had[1] and not had[3]

if operation == 'claim' then
  if not exists then
    redis.call('HSET', entry, 'fingerprint', fingerprint, 'owner', owner)
    redis.call('PEXPIRE', entry, lease)
    return {'claimed'}
  end
  if had[1] ~= fingerprint then return {'other'} end
  if is_claim then return {'running'} end
  return {'kept', had[3], redis.call('HGET', entry, 'body')}
end

if operation == 'renew' then
  if not is_claim or had[2] ~= owner then return 0 end
  return redis.call('PEXPIRE', entry, lease)
end

if operation == 'release' then
  if is_claim and had[2] == owner then redis.call('DEL', entry) end
  return 1
end

if operation == 'prune' then return forget_ended() end

-- keep
if exists and had[2] ~= owner then return 0 end
local head, body, ttl = ARGV[6], ARGV[7], tonumber(ARGV[8])
local most_bytes, most_entries, prefix = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]
forget(id)
redis.call('HSET', entry, 'fingerprint', fingerprint, 'owner', owner, 'head', head, 'body', body)
redis.call('PEXPIRE', entry, ttl)
local bytes = #head + #body
redis.call('ZADD', ends, now_ms() + ttl, id)
redis.call('HSET', sizes, id, bytes)
local all = redis.call('INCRBY', total, bytes)
forget_ended()
while redis.call('ZCARD', ends) > 1 do
  all = tonumber(redis.call('GET', total) or '0')
  if all <= most_bytes and redis.call('ZCARD', ends) <= most_entries then break end
  local oldest = redis.call('ZRANGE', ends, 0, 1)
  local name = oldest[1]
  if name == id then name = oldest[2] end
  redis.call('DEL', prefix .. name)
  forget(name)
end
return 1
