-- The shared gate: every operation on counters, each one call. See docs/decisions for the layout.
--
-- KEYS: 1 the gate (generation, clock), 2 open reservations, 3 when they end, 4 the index of counters,
--       5 members, 6 counters whose leases are wanted, 7 what this process was last answered, 8.. counters.
-- ARGV: 1 operation, 2 time in ms (tests only, else empty), 3 generation and connection, 4 process, 5.. its own.
--
-- Numbers are doubles, as in the meters of one process: whole numbers below 2^53 are exact. Everything is worked out
-- before the first write, so that an error leaves nothing half done.

local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
local call, pack, unpack_ = redis.call, cmsgpack.pack, cmsgpack.unpack

local FIRST = 8
local SLOTS = 60
local NEVER = 9007199254740991
local DAY_MS = 86400000
local HOUR_MS = 3600000
local WEEK_MS = 7 * DAY_MS
local MONDAY_MS = 4 * DAY_MS
local RESET_KEPT_MS = 30 * DAY_MS
local WANTED_MS = 2000
local MEMBER_MS = 10000
local SETTLING_MS = 3000
local MOST_TOLD = 100
-- Longer than leases and short windows last.
local DEAD_MS = 2 * HOUR_MS
-- Of steady time: more in one step is a clock that was set, or nobody there to wait.
local LONGEST_STEP_US = 500000
-- Of a stream's output, as data-plane/limits/lease.ts has it.
local LEAST_TOKENS = 16
local SHARE = 32
local FIRST_SHARE = 64

local op, process = ARGV[1], ARGV[4]

-- Time: never back. After the server's clock went back, half as fast until it is caught up with.

local meta = call('HMGET', KEYS[1], 'gen', 'latest', 'time', 'wait', 'run', 'c:' .. process, 'steady', 'dead')
local generation = meta[1]

local function microseconds()
  local given = tonumber(ARGV[2])
  if given then return given * 1000 end
  local parts = call('TIME')
  return tonumber(parts[1]) * 1000000 + tonumber(parts[2])
end

local time_us = microseconds()
local latest_us = tonumber(meta[2] or time_us)
local passed_us = max(0, time_us - tonumber(meta[3] or time_us))
latest_us = max(time_us, latest_us + floor(passed_us / 2))
local now = floor(latest_us / 1000)
-- Goes on only while processes are there, and never leaps: how long others are waited for, until when reservations and
-- leases last. A clock that is set says nothing of who is there.
local steady_us = tonumber(meta[7] or latest_us) + min(LONGEST_STEP_US, passed_us)
local steady = floor(steady_us / 1000)

-- The gate's name for a moment of steady time.
local function clock_at(steady_at) return now + steady_at - steady end

-- Calendar, UTC. Months are counted from the year 0.

local DAYS_BEFORE = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 }

local function month_start(month)
  local year, of_year = floor(month / 12), month % 12
  local before = year - 1
  local leaps = floor(before / 4) - floor(before / 100) + floor(before / 400) - 477
  local days = 365 * (year - 1970) + leaps + DAYS_BEFORE[of_year + 1]
  local leap = (year % 4 == 0 and year % 100 ~= 0) or year % 400 == 0
  if leap and of_year > 1 then days = days + 1 end
  return days * DAY_MS
end

local function month_of(at)
  local month = floor(at / DAY_MS / 30.436875) + 1970 * 12
  while month_start(month) > at do month = month - 1 end
  while month_start(month + 1) <= at do month = month + 1 end
  return month
end

local function window_start(p, at)
  if p.months == 0 then
    local offset = p.window % WEEK_MS == 0 and MONDAY_MS or 0
    return at - (at - offset) % p.window
  end
  local month = month_of(at)
  return month_start(month - month % p.months)
end

local function window_end(p, start)
  if p.months == 0 then return start + p.window end
  local month = month_of(start)
  local into = start - month_start(month)
  return min(month_start(month + p.months) + into, month_start(month + p.months + 1))
end

-- Meters. A counter `c` has: p what it counts by, st settled, rs reserved, op open, ex extra allowance.
-- Redis makes all functions anew at each call. So those of a kind are made when a counter of that kind is met, and those of
-- an operation when it is asked for.

local builders, built = {}, {}

local function meter(kind)
  local m = built[kind]
  if not m then
    m = builders[kind]()
    built[kind] = m
  end
  return m
end

local function plain_amount(c) return c.p.amount + c.ex end
local function plain_free(c) return c.p.amount + c.ex - c.st - c.rs end
local function plain_settled(c) return c.st end
local function plain_reserved(c) return c.rs end

-- fixed: s start, e end of the open window

function builders.fixed()
  local fixed = {}

  function fixed.advance(c)
    if c.s and now >= c.e then c.s, c.e, c.ex, c.st, c.rs = nil, nil, 0, 0, 0 end
  end

  local function open_window(c)
    if c.s then return end
    c.s = c.p.clock and window_start(c.p, now) or now
    c.e = window_end(c.p, c.s)
  end

  fixed.amount, fixed.free = plain_amount, plain_free
  fixed.settled, fixed.reserved = plain_settled, plain_reserved

  function fixed.take(c, amount)
    open_window(c)
    c.rs = c.rs + amount
    return c.s
  end

  function fixed.close(c, hold, used, known)
    if hold.ticket ~= c.s then return end
    if known then c.rs = c.rs - hold.amount end
    c.st = c.st + used
  end

  function fixed.wait(c, need)
    if need > c.p.amount or not c.s then return nil end
    return c.e - now
  end

  function fixed.ends(c)
    if c.s then return c.e end
    if not c.p.clock then return nil end
    return window_end(c.p, window_start(c.p, now))
  end

  function fixed.silent(c) return fixed.ends(c) or now end
  function fixed.idle(c) return c.op == 0 and c.st == 0 and c.ex == 0 end
  function fixed.reset(c) c.st, c.ex = 0, 0 end

  function fixed.grant(c, extra)
    open_window(c)
    c.ex = c.ex + extra
  end

  function fixed.parts(c) return c.s and { { c.s, c.st } } or {} end

  function fixed.save(c)
    return { start_ms = c.s or now, end_ms = c.e or now, settled = c.st, open = c.rs, extra = c.ex }
  end

  function fixed.merge(c, m)
    if now >= m.end_ms then return end
    if not c.s then c.s, c.e = m.start_ms, m.end_ms end
    c.st, c.ex = max(c.st, m.settled), max(c.ex, m.extra)
  end

  function fixed.expires(c) return c.e end

  return fixed
end

-- lifetime

function builders.lifetime()
  local lifetime = {}

  function lifetime.advance() end
  lifetime.amount, lifetime.free = plain_amount, plain_free
  lifetime.settled, lifetime.reserved = plain_settled, plain_reserved

  function lifetime.take(c, amount)
    c.rs = c.rs + amount
    return 0
  end

  function lifetime.close(c, hold, used, known)
    if known then c.rs = c.rs - hold.amount end
    c.st = c.st + used
  end

  function lifetime.wait() return nil end
  function lifetime.ends() return nil end
  function lifetime.silent() return NEVER end
  function lifetime.idle(c) return c.op == 0 and c.st == 0 and c.ex == 0 end
  function lifetime.reset(c) c.st, c.ex = 0, 0 end
  function lifetime.grant(c, extra) c.ex = c.ex + extra end
  function lifetime.parts(c) return { { 0, c.st } } end
  function lifetime.save(c) return { settled = c.st, open = c.rs, extra = c.ex } end
  function lifetime.merge(c, m) c.st, c.ex = max(c.st, m.settled), max(c.ex, m.extra) end
  function lifetime.expires() return nil end

  return lifetime
end

-- concurrent

function builders.concurrent()
  local concurrent = {}

  function concurrent.advance() end
  concurrent.amount, concurrent.free, concurrent.reserved = plain_amount, plain_free, plain_reserved
  function concurrent.settled() return 0 end

  function concurrent.take(c, amount)
    c.rs = c.rs + amount
    return 0
  end

  function concurrent.close(c, hold, _, known)
    if known then c.rs = c.rs - hold.amount end
  end

  function concurrent.wait() return nil end
  function concurrent.ends() return nil end
  function concurrent.silent() return NEVER end
  function concurrent.idle(c) return c.op == 0 and c.ex == 0 end
  function concurrent.reset(c) c.ex = 0 end
  function concurrent.grant(c, extra) c.ex = c.ex + extra end
  function concurrent.save() return {} end
  function concurrent.merge() end
  function concurrent.expires(c) return c.due and clock_at(c.due) end

  return concurrent
end

-- sliding: sl slots, ascending, with ss settled and sr reserved of each; xu end of the extra allowance

function builders.sliding()
  local sliding = {}

  local function slot_at(c) return floor(now * SLOTS / c.p.longest) end
  local function slot_end(c, slot) return ceil((slot + SLOTS + 1) * c.p.longest / SLOTS) end

  function sliding.advance(c)
    local oldest, gone = slot_at(c) - SLOTS, 0
    while c.sl[gone + 1] and c.sl[gone + 1] < oldest do
      gone = gone + 1
      c.st, c.rs = c.st - c.ss[gone], c.rs - c.sr[gone]
    end
    for _ = 1, gone do
      table.remove(c.sl, 1)
      table.remove(c.ss, 1)
      table.remove(c.sr, 1)
    end
    if c.ex ~= 0 and now >= c.xu then c.ex, c.xu = 0, 0 end
  end

  local function slot_index(c, slot)
    local i = #c.sl
    while i > 0 and c.sl[i] > slot do i = i - 1 end
    if c.sl[i] == slot then return i end
    table.insert(c.sl, i + 1, slot)
    table.insert(c.ss, i + 1, 0)
    table.insert(c.sr, i + 1, 0)
    return i + 1
  end

  local function settle_in(c, slot, amount)
    local i = slot_index(c, slot)
    c.ss[i] = c.ss[i] + amount
    c.st = c.st + amount
  end

  sliding.amount, sliding.free = plain_amount, plain_free
  sliding.settled, sliding.reserved = plain_settled, plain_reserved

  function sliding.take(c, amount)
    local slot = slot_at(c)
    if amount == 0 then return slot end
    local i = slot_index(c, slot)
    c.sr[i] = c.sr[i] + amount
    c.rs = c.rs + amount
    return slot
  end

  function sliding.close(c, hold, used, known)
    if hold.ticket < slot_at(c) - SLOTS then return end
    if known and hold.amount > 0 then
      local i = slot_index(c, hold.ticket)
      c.sr[i] = c.sr[i] - hold.amount
      c.rs = c.rs - hold.amount
    end
    if used > 0 then settle_in(c, hold.ticket, used) end
    for i = #c.sl, 1, -1 do
      if c.sl[i] == hold.ticket and c.ss[i] == 0 and c.sr[i] == 0 then
        table.remove(c.sl, i)
        table.remove(c.ss, i)
        table.remove(c.sr, i)
      end
    end
  end

  local function freed_at(c, amount)
    local left = amount
    for i = 1, #c.sl do
      left = left - c.ss[i] - c.sr[i]
      if left <= 0 then return slot_end(c, c.sl[i]) end
    end
    return nil
  end

  function sliding.wait(c, need)
    local short = need - sliding.free(c)
    local at = freed_at(c, short)
    if at and (c.ex == 0 or at < c.xu) then return at - now end
    if need > c.p.amount then return nil end
    local later = freed_at(c, short + c.ex)
    return later and later - now
  end

  function sliding.ends(c)
    local newest = c.sl[#c.sl]
    return newest and slot_end(c, newest) or now
  end

  function sliding.silent(c) return now + c.p.longest end
  function sliding.idle(c) return c.op == 0 and #c.sl == 0 and c.ex == 0 end

  function sliding.reset(c)
    for i = 1, #c.ss do c.ss[i] = 0 end
    c.st, c.ex, c.xu = 0, 0, 0
  end

  function sliding.grant(c, extra)
    c.ex, c.xu = c.ex + extra, now + c.p.longest
  end

  function sliding.parts(c)
    local parts = {}
    for i = 1, #c.sl do parts[i] = { c.sl[i], c.ss[i] } end
    return parts
  end

  function sliding.save(c)
    local slots = {}
    for i = 1, #c.sl do slots[i] = { at = c.sl[i], settled = c.ss[i], open = c.sr[i] } end
    return { slots = slots, extra = c.ex, extra_until_ms = c.xu }
  end

  function sliding.merge(c, m)
    local oldest = slot_at(c) - SLOTS
    for _, slot in ipairs(m.slots) do
      if slot.at >= oldest and slot.settled > 0 then
        local i = slot_index(c, slot.at)
        local more = max(0, slot.settled - c.ss[i])
        c.ss[i] = c.ss[i] + more
        c.st = c.st + more
      end
    end
    if m.extra > c.ex and now < m.extra_until_ms then c.ex, c.xu = m.extra, m.extra_until_ms end
  end

  function sliding.expires(c)
    return max(sliding.ends(c), c.ex ~= 0 and c.xu or 0)
  end

  return sliding
end

-- bucket: missing parts in layers (tk first ticket, mi missing, oi open), mm all missing, at time of the last refill,
-- lt last ticket. The same layers as in the meter of one process, which says why.

function builders.bucket()
  local bucket = {}

  local function drop_layer(c, i)
    if i > 1 then c.oi[i - 1] = c.oi[i - 1] + c.oi[i] end
    table.remove(c.tk, i)
    table.remove(c.mi, i)
    table.remove(c.oi, i)
  end

  local function empty_layers(c)
    c.tk, c.mi, c.oi, c.mm = {}, {}, {}, 0
  end

  local function fill(c, parts)
    if parts >= c.mm then
      empty_layers(c)
      return
    end
    c.mm = c.mm - parts
    while parts > 0 do
      local newest = #c.mi
      if c.mi[newest] > parts then
        c.mi[newest] = c.mi[newest] - parts
        return
      end
      parts = parts - c.mi[newest]
      drop_layer(c, newest)
    end
  end

  function bucket.advance(c)
    if c.mm > 0 then fill(c, (now - c.at) * c.p.perms) end
    c.at = now
  end

  local function missing(c) return ceil(c.mm / c.p.parts) end

  local function charge(c, parts, open)
    c.lt = c.lt + 1
    c.mm = c.mm + parts
    local newest = #c.mi
    if newest > 0 and (parts == 0 or c.oi[newest] == 0) then
      if parts > 0 then c.tk[newest] = c.lt end
      c.mi[newest] = c.mi[newest] + parts
      c.oi[newest] = c.oi[newest] + open
    elseif parts > 0 then
      c.tk[newest + 1], c.mi[newest + 1], c.oi[newest + 1] = c.lt, parts, open
    end
    return c.lt
  end

  function bucket.amount(c) return c.p.amount end
  function bucket.free(c) return c.p.amount - missing(c) end
  function bucket.settled(c) return max(0, missing(c) - c.rs) end
  function bucket.reserved(c) return min(missing(c), c.rs) end

  function bucket.take(c, amount)
    c.rs = c.rs + amount
    return charge(c, amount * c.p.parts, 1)
  end

  local function give_back(c, layer, parts)
    while parts > 0 and layer > 0 do
      local back = min(c.mi[layer], parts)
      parts = parts - back
      c.mm = c.mm - back
      c.mi[layer] = c.mi[layer] - back
      if c.mi[layer] > 0 then break end
      drop_layer(c, layer)
      layer = layer - 1
    end
    if layer > 0 and layer < #c.mi and c.oi[layer] == 0 then
      c.mi[layer + 1] = c.mi[layer + 1] + c.mi[layer]
      table.remove(c.tk, layer)
      table.remove(c.mi, layer)
      table.remove(c.oi, layer)
    end
  end

  function bucket.close(c, hold, used, known)
    if not known then
      charge(c, used * c.p.parts, 0)
      return
    end
    c.rs = c.rs - hold.amount
    local layer = 0
    for i = 1, #c.tk do
      if c.tk[i] <= hold.ticket then layer = i end
    end
    if layer > 0 then
      c.oi[layer] = c.oi[layer] - 1
      give_back(c, layer, (hold.amount - used) * c.p.parts)
    end
    if used > hold.amount then charge(c, (used - hold.amount) * c.p.parts, 0) end
  end

  local function refill_ms(c, parts)
    if c.p.perms == 0 then return nil end
    return ceil(parts / c.p.perms)
  end

  function bucket.wait(c, need)
    if need > c.p.amount then return nil end
    return refill_ms(c, c.mm - (c.p.amount - need) * c.p.parts)
  end

  function bucket.ends(c)
    if c.mm == 0 then return now end
    local wait = refill_ms(c, c.mm)
    return wait and now + wait
  end

  function bucket.silent(c)
    local whole = refill_ms(c, c.p.amount * c.p.parts)
    return whole and now + whole or NEVER
  end

  function bucket.idle(c) return c.op == 0 and c.mm == 0 end

  -- What is open goes on counting, as the oldest layer.
  function bucket.reset(c)
    local parts = min(c.mm, c.rs * c.p.parts)
    empty_layers(c)
    if parts > 0 then c.tk, c.mi, c.oi, c.mm = { 0 }, { parts }, { c.op }, parts end
  end

  function bucket.grant(c, extra) fill(c, extra * c.p.parts) end

  function bucket.save(c)
    return { at_ms = c.at, missing = c.mm / c.p.parts, open = bucket.reserved(c) }
  end

  function bucket.merge(c, m)
    local parts = ceil(m.missing * c.p.parts) - max(0, now - m.at_ms) * c.p.perms
    if parts > c.mm then charge(c, parts - c.mm, 0) end
  end

  function bucket.expires(c) return bucket.ends(c) end

  return bucket
end

-- Counters

-- "kind|unit|amount|window|months|longest|align|parts|per ms"
local function parameters(text)
  local f = {}
  for field in string.gmatch(text .. '|', '(.-)|') do f[#f + 1] = field end
  return {
    kind = f[1],
    unit = f[2],
    amount = tonumber(f[3]),
    window = tonumber(f[4]),
    months = tonumber(f[5]),
    longest = tonumber(f[6]),
    clock = f[7] == 'clock',
    parts = tonumber(f[8]),
    perms = tonumber(f[9]),
  }
end

local function new_counter(p, inc)
  local c = { p = p, st = 0, rs = 0, op = 0, ex = 0, inc = inc }
  if p.kind == 'sliding' then
    c.sl, c.ss, c.sr, c.xu = {}, {}, {}, 0
  elseif p.kind == 'bucket' then
    c.tk, c.mi, c.oi, c.mm, c.lt, c.at = {}, {}, {}, 0, 0, now
  end
  return c
end

local function meter_of(c) return meter(c.p.kind) end

local function hold_of(ticket, amount) return { ticket = ticket, amount = amount } end

-- Lives for an hour or more: its state is kept with the ledger.
local function is_long(p)
  local kind = p.kind
  if kind == 'lifetime' then return true end
  if kind == 'concurrent' then return false end
  if kind == 'bucket' then return p.perms == 0 or p.amount * p.parts / p.perms >= HOUR_MS end
  return p.longest >= HOUR_MS
end

-- What usage records say of a counter. er: its era, which a record names, so that what was counted before a reset or a loss
-- is told from what came after. bs: of this era, what is counted less what records say, as { window, amount }. lg: the
-- ledgers that have records of this era. So settled = bs + the records, or somebody changed one of them.

local function begin_era(c)
  c.bs, c.lg = nil, nil
  if c.p.kind == 'bucket' or not is_long(c.p) then
    c.er = false
    return
  end
  c.er = max(now, (c.er or 0) + 1)
  for _, part in ipairs(meter_of(c).parts(c)) do
    if part[2] > 0 then
      c.bs = c.bs or {}
      c.bs[#c.bs + 1] = part
    end
  end
end

local function unsaid(c, at, amount)
  if not c.er or amount == 0 then return end
  local parts = c.bs or {}
  c.bs = parts
  for _, part in ipairs(parts) do
    if part[1] == at then
      part[2] = part[2] + amount
      return
    end
  end
  parts[#parts + 1] = { at, amount }
  -- More windows than one counter has: the oldest is over.
  if #parts <= 2 * SLOTS then return end
  local oldest = 1
  for i, part in ipairs(parts) do
    if part[1] < parts[oldest][1] then oldest = i end
  end
  table.remove(parts, oldest)
end

-- Takes what was used already.
local function take_used(c, amount)
  local ticket = meter_of(c).take(c, amount)
  meter_of(c).close(c, hold_of(ticket, amount), amount, true)
  return ticket
end

-- Adds to what is used, without a record.
local function add_use(c, amount) unsaid(c, take_used(c, amount), amount) end

-- Another algorithm or window keeps what was counted, as used now; another unit cannot.
local function replaced(old, p)
  local c = new_counter(p, old.inc + 1)
  c.replaced, c.L, c.T, c.reset_at, c.er = true, old.L, old.T, old.reset_at, old.er
  if old.p.unit ~= p.unit then
    c.L = nil
    begin_era(c)
    return c
  end
  local m = meter_of(old)
  local amount = m.settled(old) + m.reserved(old)
  if amount > 0 then take_used(c, amount) end
  begin_era(c)
  return c
end

local function adopt(c, text, descr)
  if c.g == text then return c end
  local p = parameters(text)
  local o = c.p
  local same = p.kind == o.kind and p.unit == o.unit and p.window == o.window and p.months == o.months
    and p.clock == o.clock
  if not same then
    c = replaced(c, p)
  elseif p.kind == 'bucket' and p.parts ~= o.parts then
    c.mm = 0
    for i = 1, #c.mi do
      c.mi[i] = ceil(c.mi[i] * (p.parts / o.parts))
      c.mm = c.mm + c.mi[i]
    end
  end
  c.p, c.g, c.d = p, text, descr
  return c
end

local loaded = {}

-- Processes that are known to have been killed, and since when: what they had spent alone was told by their next start. Of
-- windows that live for less than an hour nobody knows it, until the window is over.
local dead = meta[8] and unpack_(meta[8])

local function is_over(c, ms)
  local p = c.p
  if p.kind == 'concurrent' or is_long(p) then return true end
  return ms >= (p.kind == 'bucket' and p.amount * p.parts / p.perms or p.longest)
end

local function bury(c)
  if not dead or not c.L then return end
  for name in pairs(c.L) do
    if dead[name] and is_over(c, steady - dead[name]) then c.L[name] = nil end
  end
  if not next(c.L) then c.L = nil end
end

local function load_all(first, last)
  if last < first then return end
  local names = {}
  for i = first, last do names[#names + 1] = KEYS[i] end
  local states = call('MGET', unpack(names))
  for i = 1, #names do
    if states[i] then
      local c = unpack_(states[i])
      meter_of(c).advance(c)
      bury(c)
      -- Of a version that did not keep it.
      if c.er == nil then begin_era(c) end
      loaded[names[i]] = c
    end
  end
end

-- The counter as the limit has it now; made when it is not there. `unsure`: it may be that it was lost; who knows what it
-- had counted brings that before it reserves.
local function counter(key, text, descr, unsure)
  local c = loaded[key]
  if c then
    c = adopt(c, text, descr)
  else
    c = new_counter(parameters(text), now * 1000)
    c.g, c.d, c.fresh, c.u = text, descr, true, unsure
    begin_era(c)
  end
  loaded[key] = c
  return c
end

-- It is not there, or was made by somebody who did not know whether it was lost.
local function is_unsure(key) return not loaded[key] or loaded[key].u end

local function leased(c, except)
  local sum = 0
  if c.L then
    for name, lease in pairs(c.L) do
      if name ~= except and lease[2] > steady then sum = sum + lease[1] end
    end
  end
  return sum
end

local function own_lease(c)
  local lease = c.L and c.L[process]
  return lease and lease[2] > steady and lease[1] or 0
end

local function set_lease(c, amount, until_)
  c.L = c.L or {}
  c.L[process] = amount > 0 and { amount, until_ } or nil
  local any = false
  for name, lease in pairs(c.L) do
    if lease[2] <= steady then c.L[name] = nil else any = true end
  end
  if not any then c.L = nil end
end

-- Until when the key must live, ms since 1970; nil: for ever.
local function lives_until(c)
  local m = meter_of(c)
  local at = m.expires(c)
  if at == nil and c.p.kind == 'concurrent' then at = c.ex == 0 and now or nil end
  if at == nil and not (c.p.kind == 'fixed') then
    if c.p.kind ~= 'lifetime' or not m.idle(c) then return nil end
  end
  at = max(at or now, c.due and clock_at(c.due) or 0, c.reset_at and c.reset_at + RESET_KEPT_MS or 0)
  if c.L then
    for _, lease in pairs(c.L) do at = max(at, clock_at(lease[2])) end
  end
  return at
end

local function store(key, name)
  local c = loaded[key]
  local fresh = c.fresh
  c.fresh = nil
  if meter_of(c).idle(c) and not c.L and not c.reset_at then
    if not fresh then
      call('DEL', key)
      call('SREM', KEYS[4], name)
    end
    return
  end
  local at = lives_until(c)
  if at then
    -- A second more, so that what ends at this very millisecond is still found.
    call('SET', key, pack(c), 'PX', max(1, at - now) + 1000)
  else
    call('SET', key, pack(c))
  end
  if fresh then call('SADD', KEYS[4], name) end
end

-- All counters of the call. `first`: the argument that has the name of the first; `step`: arguments of each counter.
local function store_all(first, step)
  for i = FIRST, #KEYS do store(KEYS[i], ARGV[first + (i - FIRST) * step]) end
end

local function view(c)
  local m = meter_of(c)
  return m.settled(c), m.reserved(c), m.amount(c), m.ends(c) or -1
end

-- Amounts

local function demanded(unit, d, output)
  if unit == 'requests' or unit == 'concurrent' then return 1 end
  if unit == 'tokens' then return d.input + output end
  if unit == 'input_tokens' then return d.input end
  if unit == 'output_tokens' then return output end
  if not d.fixed then return 0 end
  return ceil((d.fixed + output * d.each) / 1000)
end

local function output_that_fits(unit, d, free)
  if unit == 'tokens' then return free - d.input end
  if unit == 'output_tokens' then return free end
  if unit ~= 'usd' or d.each == 0 then return -1 end
  local tokens = floor((free * 1000 - (d.fixed or 0)) / d.each)
  while tokens >= 0 and demanded('usd', d, tokens) > free do tokens = tokens - 1 end
  return tokens
end

local function expected(limit, output)
  return limit.expected >= 0 and min(output, limit.expected) or output
end

local function least_hold(d) return min(LEAST_TOKENS, d.output) end

local function first_hold(limit, c, d, free)
  if not limit.enforced then return d.output end
  return max(least_hold(d), min(d.output, floor(output_that_fits(c.p.unit, d, free) / FIRST_SHARE)))
end

local function shortage(limit, c, d, free)
  if limit.leased then
    local least = demanded(c.p.unit, d, least_hold(d))
    return least > free and { needed = least, worst = least } or nil
  end
  local worst = expected(limit, d.output)
  local needed = demanded(c.p.unit, d, worst)
  if needed <= free then return nil end
  if not limit.shrinks or not d.shrinks then return { needed = needed, worst = needed } end
  local least = min(limit.least, worst)
  local output = output_that_fits(c.p.unit, d, free)
  if output >= least then return { output = output, worst = needed } end
  return { needed = demanded(c.p.unit, d, least), worst = needed }
end

local function refusal(index, c, needed)
  local settled, reserved, amount, ends = view(c)
  local never = needed > amount
  local wait = nil
  if not never then
    wait = needed <= meter_of(c).free(c) and 0 or meter_of(c).wait(c, needed)
  end
  return { index, settled + reserved, reserved, amount, ends, wait or -1, never and 1 or 0 }
end

local function gravity(r, c)
  if r[7] == 1 then return math.huge end
  if r[6] >= 0 then return r[6] end
  return c.p.kind == 'concurrent' and -1 or 1e300
end

-- What was spent of the lease without the server is no lease any more, once the server has it.
local function spend_lease(c, amount)
  local own = own_lease(c)
  if own > 0 and amount > 0 then set_lease(c, max(0, own - amount), c.L[process][2]) end
end

-- What the rest cannot give comes out of this process's own lease. Gives the ticket, and what came out of the lease.
local function take_of(c, amount)
  local own, from_lease = own_lease(c), 0
  if own > 0 then
    local rest = meter_of(c).free(c) - leased(c, nil)
    from_lease = max(0, min(own, amount - rest))
    if from_lease > 0 then set_lease(c, own - from_lease, c.L[process][2]) end
  end
  return meter_of(c).take(c, amount), from_lease
end

-- Asks the other processes to give back what they lease of these counters.
local function ask_back(names)
  for _, name in ipairs(names) do call('ZADD', KEYS[6], now + WANTED_MS, name) end
  call('PEXPIRE', KEYS[6], WANTED_MS)
end

-- A reservation `r`: by whose it is, held output tokens of a stream, adopted: made without the server, holds { name, incarnation, ticket, amount, is leased }.
-- A stream that is extended in another window has one more hold of the same counter.

local function holds_by_name(r)
  local found = {}
  for _, hold in ipairs(r.holds) do
    local all = found[hold[1]] or {}
    all[#all + 1] = hold
    found[hold[1]] = all
  end
  return found
end

local function total_of(holds)
  local total = 0
  for _, hold in ipairs(holds) do total = total + hold[4] end
  return total
end

-- Another part of a reservation that has `holds` of the counter. Gives what came out of the lease.
local function take_more(record, holds, more)
  local c = more.c
  local ticket, from_lease = take_of(c, more.amount)
  local last = holds[#holds]
  if last and last[2] == c.inc and last[3] == ticket then
    -- One open taking is enough of the same window.
    meter_of(c).close(c, hold_of(ticket, 0), 0, true)
    last[4] = last[4] + more.amount
  else
    c.op = c.op + 1
    record.holds[#record.holds + 1] = { more.name, c.inc, ticket, more.amount, 0 }
  end
  return from_lease
end

local function demand_from(at)
  return {
    input = tonumber(ARGV[at]),
    output = tonumber(ARGV[at + 1]),
    fixed = tonumber(ARGV[at + 2]),
    each = tonumber(ARGV[at + 3]),
  }
end

-- Operations

-- Only the one that is asked for is made.
local ops = {}

-- ARGV: 5 reservation, 6 ms until it is taken as lost, 7 patient (0 or 1), 8 input, 9 output, 10 fixed pico-dollars (empty:
-- unpriced), 11 pico-dollars per output token, 12 may shrink; then per counter: parameters, description, enforced, shrinks,
-- least output, expected output (-1: all of it), leased, known to have counted, name.
if op == 'reserve' then
  function ops.reserve()
    local d = demand_from(8)
    d.shrinks = ARGV[12] == '1'
    if steady < tonumber(meta[4] or 0) then return { 5, now } end
    load_all(FIRST, #KEYS)
    local output, refused, refused_by, excused = d.output, nil, nil, {}
    local holds, held, limits, wanted = {}, {}, {}, {}
    for i = FIRST, #KEYS do
      local at = 13 + (i - FIRST) * 9
      local limit = {
        enforced = ARGV[at + 2] == '1',
        shrinks = ARGV[at + 3] == '1',
        least = tonumber(ARGV[at + 4]),
        expected = tonumber(ARGV[at + 5]),
        leased = ARGV[at + 6] == '1',
        name = ARGV[at + 8],
      }
      local key = KEYS[i]
      if ARGV[at + 7] == '1' and is_unsure(key) then return { 4, now, i - FIRST } end
      local c = counter(key, ARGV[at], ARGV[at + 1], true)
      if not held[key] then
        held[key] = true
        holds[#holds + 1] = i
      end
      limits[key] = limit
      local others = leased(c, process)
      local free = meter_of(c).free(c) - others
      local short = shortage(limit, c, d, free)
      if short then
        if limit.enforced and others > 0 and short.worst <= free + others then
          wanted[#wanted + 1] = limit.name
        end
        if short.output then
          if limit.enforced then output = min(output, short.output) end
        else
          local r = refusal(i - FIRST, c, short.needed)
          if not limit.enforced then
            excused[#excused + 1] = r
          elseif not refused or gravity(r, c) > gravity(refused, refused_by) then
            refused, refused_by = r, c
          end
        end
      end
    end
    if #wanted > 0 then
      ask_back(wanted)
      if ARGV[7] == '1' then
        return { 2, now, wanted }
      end
    end
    if refused then return { 0, now, refused } end
    local held_tokens = output
    for _, i in ipairs(holds) do
      local c = loaded[KEYS[i]]
      if limits[KEYS[i]].leased then
        c.nl = (c.nl or 0) + 1
        held_tokens = min(held_tokens, first_hold(limits[KEYS[i]], c, d, meter_of(c).free(c) - leased(c, process)))
      end
    end
    local due = steady + tonumber(ARGV[6])
    local record = { by = process, held = held_tokens, holds = {} }
    local views = {}
    for _, i in ipairs(holds) do
      local c, limit = loaded[KEYS[i]], limits[KEYS[i]]
      local amount = demanded(c.p.unit, d, limit.leased and held_tokens or expected(limit, output))
      local ticket, from_lease = take_of(c, amount)
      c.op = c.op + 1
      c.due = max(c.due or 0, due)
      record.holds[#record.holds + 1] = { limit.name, c.inc, ticket, amount, limit.leased and 1 or 0 }
      local settled, reserved, whole, ends = view(c)
      views[#views + 1] = { settled, reserved, whole, ends, from_lease, amount, is_long(c.p) and 1 or 0, ticket, c.er or -1 }
    end
    for _, i in ipairs(holds) do store(KEYS[i], limits[KEYS[i]].name) end
    call('HSET', KEYS[2], ARGV[5], pack(record))
    call('ZADD', KEYS[3], due, ARGV[5])
    return { 1, now, output, views, excused, held_tokens }
  end
end

-- Holds more of a stream's output. ARGV: 5 reservation, 6 tokens wanted in all, 7 patient, 8 input, 9 output that was granted,
-- 10 fixed pico-dollars, 11 pico-dollars per output token; then per leased counter: enforced, name.
if op == 'extend' then
  function ops.extend()
    local packed = call('HGET', KEYS[2], ARGV[5])
    if not packed then return { 0, now } end
    local record, d, wanted, asked = unpack_(packed), demand_from(8), tonumber(ARGV[6]), {}
    load_all(FIRST, #KEYS)
    local held = record.held or d.output
    local most, share = d.output, d.output
    for i = FIRST, #KEYS do
      local at, c = 12 + (i - FIRST) * 2, loaded[KEYS[i]]
      if not c then
        most = held
      elseif ARGV[at] == '1' then
        local others = leased(c, process)
        local free = demanded(c.p.unit, d, held) + meter_of(c).free(c) - others
        local fits = output_that_fits(c.p.unit, d, free)
        if others > 0 and fits < min(wanted, d.output) then asked[#asked + 1] = ARGV[at + 1] end
        most = min(most, fits)
        share = min(share, floor((fits - held) / (SHARE * max(1, c.nl or 0))))
      end
    end
    if #asked > 0 then
      ask_back(asked)
      if ARGV[7] == '1' then
        return { 2, now, asked }
      end
    end
    local reached = min(most, max(wanted, held + share))
    if reached <= held then return { 1, now, held, {} } end
    local by_name, views = holds_by_name(record), {}
    for i = FIRST, #KEYS do
      local name, c = ARGV[13 + (i - FIRST) * 2], loaded[KEYS[i]]
      local more = demanded(c.p.unit, d, reached) - demanded(c.p.unit, d, held)
      local all, from_lease = by_name[name] or {}, 0
      local total = total_of(all) + more
      if more > 0 then from_lease = take_more(record, all, { name = name, c = c, amount = more }) end
      local settled, reserved, whole, ends = view(c)
      views[#views + 1] = { settled, reserved, whole, ends, from_lease, total }
    end
    record.held = reached
    store_all(13, 2)
    call('HSET', KEYS[2], ARGV[5], pack(record))
    return { 1, now, reached, views }
  end
end

local function reached_alerts(c, fractions)
  local found = {}
  local settled, amount = meter_of(c).settled(c), meter_of(c).amount(c)
  for text in string.gmatch(fractions, '[^,]+') do
    if settled < tonumber(text) * amount then return found end
    c.al = c.al or {}
    if now >= (c.al[text] or 0) then
      c.al[text] = meter_of(c).silent(c)
      found[#found + 1] = text
    end
  end
  return found
end

local function said_in(c, said)
  local at, era = string.match(said, '^(%S+) (%S+)$')
  if not c.er or tonumber(era) ~= c.er then return nil end
  return tonumber(at)
end

-- Of what is told under a name, the part that is new. `c.T`: by name, what was told, and when.
local function told_more(c, name, total)
  local told = c.T or {}
  local before, n, oldest = told[name] and told[name][1] or 0, 0, nil
  if total <= before then return 0 end
  told[name] = { total, now }
  for one, what in pairs(told) do
    n = n + 1
    if not oldest or what[2] < told[oldest][2] then oldest = one end
  end
  if n > MOST_TOLD then told[oldest] = nil end
  c.T = told
  return total - before
end

-- Of the usage, windows take what was reserved in them, in order, and the last takes the rest.
-- `said`: "window era", where the record says that all of it was used; empty: no record says so.
local function close_holds(c, holds, used, all, said)
  local at = said_in(c, said)
  local by_record = at and used or 0
  if by_record > 0 then
    c.lg = c.lg or {}
    c.lg[ARGV[8]] = 1
  end
  for j, hold in ipairs(holds) do
    local share = (all or j < #holds) and hold[4] or used
    if not all then share = min(share, used) end
    used = used - share
    local taken = hold_of(hold[3], hold[4])
    local counted = share
    if c.inc == hold[2] then
      meter_of(c).close(c, taken, share, true)
      c.op = c.op - 1
      if hold[5] == 1 then c.nl = max(0, (c.nl or 0) - 1) end
    elseif not (c.replaced and hold[2] < c.inc) then
      meter_of(c).close(c, taken, share, false)
    else
      counted = 0
    end
    if by_record > 0 and at == hold[3] then
      counted, by_record = counted - by_record, 0
    end
    unsaid(c, hold[3], counted)
  end
  if by_record > 0 then unsaid(c, at, -by_record) end
end

-- Whoever ended it was killed before its record was there, and the record that is now written says nothing of it.
local function take_back_said()
  local owner = string.match(ARGV[5], '^(.-):')
  if not owner then return end
  for i = FIRST, #KEYS do
    -- The same end, told again.
    if ARGV[12 + (i - FIRST) * 4] ~= '' then return end
  end
  local reports, field = string.sub(KEYS[7], 1, -#process - 1) .. owner, 'x:' .. ARGV[5]
  local told = call('HGET', reports, field)
  if not told or told == '1' then return end
  local by_name = {}
  for _, one in ipairs(unpack_(told)) do by_name[one[1]] = one end
  for i = FIRST, #KEYS do
    local c, name = loaded[KEYS[i]], ARGV[11 + (i - FIRST) * 4]
    local one = by_name[name]
    if c and one and c.er == one[3] then
      unsaid(c, one[2], one[4])
      store(KEYS[i], name)
    end
  end
  call('HSET', reports, field, 1)
end

-- `forget`: its end was answered by a server that is lost. What it used of durable counters was brought by those who knew
-- it; of others it is taken as used.
-- Answers 2 when the same process had ended it before, and 0 when there is none.
-- ARGV: 5 reservation, 6 `settle`, `release`, `expire` or `forget`, 7 reservations whose end was answered, by spaces, 8 the
-- ledger that has the record; then per counter of the reservation: used, alerts, name, where the record says that it was used.
if op == 'close' then
  function ops.close()
    local packed = call('HGET', KEYS[2], ARGV[5])
    load_all(FIRST, #KEYS)
    local record = packed and unpack_(packed)
    local by_name = packed and holds_by_name(record)
    local said = {}
    if not packed then
      if ARGV[6] == 'settle' then take_back_said() end
    else
      local expire = ARGV[6] == 'expire'
      if expire and steady < tonumber(call('ZSCORE', KEYS[3], ARGV[5]) or 0) then return { 0, now, {} } end
      for i = FIRST, #KEYS do
        local at, c = 9 + (i - FIRST) * 4, loaded[KEYS[i]]
        if c then
          if c.restored then
            c.restored = nil
            reached_alerts(c, ARGV[at + 1])
          end
          local window = said_in(c, ARGV[at + 3])
          if window then said[#said + 1] = { ARGV[at + 2], window, c.er, tonumber(ARGV[at]) } end
          local all = expire or (ARGV[6] == 'forget' and not is_long(c.p))
          local used = tonumber(ARGV[at])
          if record.adopted then
            -- The next start of its process may have told the use before, or tell it later.
            if c.T and c.T[ARGV[5]] then
              all, used = false, told_more(c, ARGV[5], used)
            elseif ARGV[6] == 'settle' then
              told_more(c, ARGV[5], used)
            end
          end
          close_holds(c, by_name[ARGV[at + 2]] or {}, used, all, ARGV[at + 3])
        end
      end
    end
    -- Told whatever was done: who asks again after a lost answer has to learn that its use is in there.
    local views = {}
    for i = FIRST, #KEYS do
      local at, c = 9 + (i - FIRST) * 4, loaded[KEYS[i]]
      local view_of = {}
      if c then
        local alerts = packed and ARGV[6] == 'settle' and reached_alerts(c, ARGV[at + 1]) or {}
        local settled, reserved, whole, ends = view(c)
        view_of = { settled, reserved, whole, ends, alerts }
        if packed then store(KEYS[i], ARGV[at + 2]) end
      end
      views[#views + 1] = view_of
    end
    if packed then
      call('HDEL', KEYS[2], ARGV[5])
      call('ZREM', KEYS[3], ARGV[5])
      if ARGV[6] == 'settle' or ARGV[6] == 'release' then
        -- Until the process says that it got the answer, a new generation must not take it again. It says so when the
        -- record should be there: what the record says is known until then.
        call('HSET', KEYS[7], 'x:' .. ARGV[5], #said > 0 and pack(said) or 1)
        call('PEXPIRE', KEYS[7], DAY_MS)
      end
    end
    local code = packed and 1 or call('HEXISTS', KEYS[7], 'x:' .. ARGV[5]) == 1 and 2 or 0
    for name in string.gmatch(ARGV[7], '[^ ]+') do call('HDEL', KEYS[7], 'x:' .. name) end
    return { code, now, views }
  end
end

-- The owner still works on it. ARGV: 5 reservation, 6 ms until it is taken as lost, 7.. names.
if op == 'renew' then
  function ops.renew()
    if call('HEXISTS', KEYS[2], ARGV[5]) == 0 then return { 0, now } end
    load_all(FIRST, #KEYS)
    local due = steady + tonumber(ARGV[6])
    call('ZADD', KEYS[3], due, ARGV[5])
    for i = FIRST, #KEYS do
      local c = loaded[KEYS[i]]
      if c then
        c.due = max(c.due or 0, due)
        store(KEYS[i], ARGV[7 + i - FIRST])
      end
    end
    return { 1, now }
  end
end

-- Takes a reservation again that a lost server knew. One that took over may know less of it than was extended since.
-- ARGV: 5 reservation, 6 ms left, 7 output tokens held, 8 was made without the server; then per counter: parameters,
-- description, amount, leased, how much of it came out of the lease, name.
if op == 'reopen' then
  function ops.reopen()
    local ended = call('HEXISTS', KEYS[7], 'x:' .. ARGV[5]) == 1
    local packed = call('HGET', KEYS[2], ARGV[5])
    load_all(FIRST, #KEYS)
    local due = steady + tonumber(ARGV[6])
    local record = packed and unpack_(packed) or { by = process, held = 0, holds = {} }
    local by_name = holds_by_name(record)
    record.held = max(record.held or 0, tonumber(ARGV[7]))
    record.adopted = record.adopted or ARGV[8] == '1' or nil
    for i = FIRST, #KEYS do
      local at = 9 + (i - FIRST) * 6
      local c = counter(KEYS[i], ARGV[at], ARGV[at + 1], true)
      local name, amount = ARGV[at + 5], tonumber(ARGV[at + 2])
      local holds = by_name[name]
      if not ended then c.due = max(c.due or 0, due) end
      spend_lease(c, tonumber(ARGV[at + 4]))
      if ended then
        -- Nothing is held any more.
      elseif not holds then
        local ticket = meter_of(c).take(c, amount)
        c.op = c.op + 1
        local is_leased = tonumber(ARGV[at + 3])
        if is_leased == 1 then c.nl = (c.nl or 0) + 1 end
        record.holds[#record.holds + 1] = { name, c.inc, ticket, amount, is_leased }
      elseif amount > total_of(holds) then
        take_more(record, holds, { name = name, c = c, amount = amount - total_of(holds) })
      end
    end
    store_all(14, 6)
    if ended then return { 0, now } end
    call('HSET', KEYS[2], ARGV[5], pack(record))
    call('ZADD', KEYS[3], due, ARGV[5])
    return { packed and 0 or 1, now }
  end
end

-- Adds what was used without the server. Per counter: parameters, description, under which name, used in all, how much of it
-- came out of the lease, name of the counter. What the counter has of that name is not added again: it may be told twice,
-- and by the next start of a process.
if op == 'report' then
  function ops.report()
    load_all(FIRST, #KEYS)
    for i = FIRST, #KEYS do
      local at = 5 + (i - FIRST) * 6
      local c = counter(KEYS[i], ARGV[at], ARGV[at + 1], true)
      local more = told_more(c, ARGV[at + 2], tonumber(ARGV[at + 3]))
      if more > 0 and c.p.kind ~= 'concurrent' then add_use(c, more) end
      spend_lease(c, tonumber(ARGV[at + 4]))
    end
    local views = {}
    for i = FIRST, #KEYS do
      local c = loaded[KEYS[i]]
      local settled, reserved, whole, ends = view(c)
      views[#views + 1] = { settled, reserved, whole, ends, is_long(c.p) and 1 or 0 }
      store(KEYS[i], ARGV[5 + (i - FIRST) * 6 + 5])
    end
    return { 1, now, views }
  end
end

-- The leases of a process as it knows them, at the beginning of a connection. ARGV: 5 ms that leases last; then per
-- counter: parameters, description, lease, name.
if op == 'sync' then
  function ops.sync()
    load_all(FIRST, #KEYS)
    for i = FIRST, #KEYS do
      local at = 6 + (i - FIRST) * 4
      set_lease(counter(KEYS[i], ARGV[at], ARGV[at + 1], true), tonumber(ARGV[at + 2]), steady + tonumber(ARGV[5]))
    end
    store_all(9, 4)
    return { 1, now }
  end
end

-- Keeps the process a member and evens out its leases. ARGV: 5 ms that leases last; then per counter: parameters,
-- description, what the process gives back, known to have counted, name.
if op == 'beat' then
  function ops.beat()
    call('ZADD', KEYS[5], steady, process)
    for _, gone in ipairs(call('ZRANGEBYSCORE', KEYS[5], '-inf', steady - MEMBER_MS)) do
      call('HDEL', KEYS[1], 'c:' .. gone)
      call('ZREM', KEYS[5], gone)
    end
    local members = max(1, call('ZCARD', KEYS[5]))
    call('ZREMRANGEBYSCORE', KEYS[6], '-inf', now)
    local wanted = call('ZRANGE', KEYS[6], 0, 99)
    local is_wanted = {}
    for _, name in ipairs(wanted) do is_wanted[name] = true end
    load_all(FIRST, #KEYS)
    local answers, until_ = {}, steady + tonumber(ARGV[5])
    for i = FIRST, #KEYS do
      local at = 6 + (i - FIRST) * 5
      if ARGV[at + 3] == '1' and is_unsure(KEYS[i]) then
        loaded[KEYS[i]] = nil
        answers[#answers + 1] = {}
      else
        local c = counter(KEYS[i], ARGV[at], ARGV[at + 1], true)
        local own = max(0, own_lease(c) - tonumber(ARGV[at + 2]))
        local rest = max(0, meter_of(c).free(c) - leased(c, process))
        local share = members == 1 and rest or floor((rest + leased(c, process)) / (2 * members))
        if is_wanted[ARGV[at + 4]] then share = 0 end
        local grown = max(0, min(share, rest) - own)
        set_lease(c, own + grown, until_)
        local settled, reserved, whole, ends = view(c)
        answers[#answers + 1] = { grown, share, settled, reserved, whole, ends, members }
      end
    end
    for i = FIRST, #KEYS do
      if loaded[KEYS[i]] then store(KEYS[i], ARGV[6 + (i - FIRST) * 5 + 4]) end
    end
    return { 1, now, members, wanted, answers }
  end
end

-- A new connection: calls of the one before, which may still come, no longer count. ARGV: 5 the server's run, 6 generation
-- to begin if this is another server, 7 members it knew, 8 number of the connection.
if op == 'attach' then
  function ops.attach()
    if tonumber(meta[6] or 0) > tonumber(ARGV[8]) then return { 3, now } end
    local fresh = not generation or meta[5] ~= ARGV[5]
    if fresh then
      generation = ARGV[6]
      local wait = tonumber(ARGV[7]) > 1 and steady + SETTLING_MS or 0
      call('HSET', KEYS[1], 'gen', generation, 'run', ARGV[5], 'wait', wait, 'expect', ARGV[7])
      call('DEL', KEYS[5])
    end
    call('HSET', KEYS[1], 'c:' .. process, ARGV[8])
    -- Who attaches lives, whatever a start from a copy of its data directory has said.
    if dead and dead[process] then
      dead[process] = nil
      call('HSET', KEYS[1], 'dead', pack(dead))
    end
    return { fresh and 1 or 0, now, generation }
  end
end

-- The process has brought what it knew. When all have, or the time is over, the gate opens.
if op == 'ready' then
  function ops.ready()
    call('ZADD', KEYS[5], steady, process)
    if steady < tonumber(meta[4] or 0) then
      local expect = tonumber(call('HGET', KEYS[1], 'expect') or 1)
      if call('ZCARD', KEYS[5]) < expect then return { 0, now } end
      call('HSET', KEYS[1], 'wait', 0)
    end
    return { 1, now }
  end
end

-- ARGV: 5 when the states were saved, ms; then per counter: parameters, description, state, name.
if op == 'restore' then
  function ops.restore()
    load_all(FIRST, #KEYS)
    for i = FIRST, #KEYS do
      local at = 6 + (i - FIRST) * 4
      local c = counter(KEYS[i], ARGV[at], ARGV[at + 1])
      if c.fresh then c.restored = true end
      if not (c.reset_at and c.reset_at >= tonumber(ARGV[5])) then
        local since = c.u and meter_of(c).settled(c) or 0
        meter_of(c).merge(c, cjson.decode(ARGV[at + 2]))
        if since > 0 and meter_of(c).settled(c) > since then
          -- What was used after the loss comes on top.
          take_used(c, since)
        end
      end
      c.u = nil
      begin_era(c)
    end
    store_all(9, 4)
    return { 1, now }
  end
end

local function number_text(n)
  if n == floor(n) then return string.format('%.0f', n) end
  return string.format('%.17g', n)
end

local function json(value)
  if type(value) == 'number' then return number_text(value) end
  local parts = {}
  if value[1] then
    for i, one in ipairs(value) do parts[i] = json(one) end
    return '[' .. table.concat(parts, ',') .. ']'
  end
  for name, one in pairs(value) do
    local text = name == 'slots' and #one == 0 and '[]' or json(one)
    parts[#parts + 1] = '"' .. name .. '":' .. text
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

-- Description, state, era and ledgers.
local function saved(c)
  local era, ledgers = '', {}
  if c.er then
    local parts = {}
    for i, part in ipairs(c.bs or {}) do parts[i] = json(part) end
    era = '"era":' .. number_text(c.er) .. ',"base":[' .. table.concat(parts, ',') .. ']'
      .. ',"settled":' .. number_text(meter_of(c).settled(c))
  end
  for ledger in pairs(c.lg or {}) do ledgers[#ledgers + 1] = ledger end
  return { c.d, json(meter_of(c).save(c)), era, ledgers }
end

local function with_names(id, r)
  local one = { id }
  for name in pairs(holds_by_name(r)) do one[#one + 1] = name end
  return one
end

-- Open reservations of this process, each with the names of its counters.
if op == 'mine' then
  function ops.mine()
    local found, all = {}, call('HGETALL', KEYS[2])
    for i = 1, #all, 2 do
      local r = unpack_(all[i + 1])
      if r.by == process then found[#found + 1] = with_names(all[i], r) end
    end
    return { 1, now, found }
  end
end

-- Reservations whose owner is lost: each with the names of its counters. ARGV: 5 how many at most.
if op == 'due' then
  function ops.due()
    local found = {}
    for _, id in ipairs(call('ZRANGEBYSCORE', KEYS[3], '-inf', steady, 'LIMIT', 0, ARGV[5])) do
      local packed = call('HGET', KEYS[2], id)
      if packed then
        found[#found + 1] = with_names(id, unpack_(packed))
      else
        call('ZREM', KEYS[3], id)
      end
    end
    return { 1, now, found }
  end
end

-- The state of counters, for the ledger.
if op == 'save' then
  function ops.save()
    load_all(FIRST, #KEYS)
    local states = {}
    for i = FIRST, #KEYS do
      local c = loaded[KEYS[i]]
      states[#states + 1] = c and saved(c) or {}
    end
    return { 1, now, states }
  end
end

-- ARGV: names of the counters. Those that are gone leave the index.
if op == 'view' then
  function ops.view()
    load_all(FIRST, #KEYS)
    local views = {}
    for i = FIRST, #KEYS do
      local c = loaded[KEYS[i]]
      if not c then
        call('SREM', KEYS[4], ARGV[5 + i - FIRST])
        views[#views + 1] = {}
      elseif meter_of(c).idle(c) then
        views[#views + 1] = {}
      else
        local settled, reserved, whole, ends = view(c)
        views[#views + 1] = { c.d, settled, reserved, whole, ends }
      end
    end
    return { 1, now, views }
  end
end

-- ARGV: 5 `reset` or `grant`, 6 extra; then names.
if op == 'change' then
  function ops.change()
    load_all(FIRST, #KEYS)
    local states = {}
    for i = FIRST, #KEYS do
      local c = loaded[KEYS[i]]
      if c then
        if ARGV[5] == 'reset' then
          meter_of(c).reset(c)
          begin_era(c)
          c.al = nil
          if is_long(c.p) then c.reset_at = now end
        else
          meter_of(c).grant(c, tonumber(ARGV[6]))
        end
      end
      states[#states + 1] = c and saved(c) or {}
    end
    for i = FIRST, #KEYS do
      if loaded[KEYS[i]] then store(KEYS[i], ARGV[7 + i - FIRST]) end
    end
    return { 1, now, states }
  end
end

-- Former starts of this process, which were killed. ARGV: 5.. their names.
if op == 'bury' then
  function ops.bury()
    local known = dead or {}
    for name, at in pairs(known) do
      if steady - at > DEAD_MS then known[name] = nil end
    end
    for i = 5, #ARGV do
      known[ARGV[i]] = steady
      call('ZREM', KEYS[5], ARGV[i])
      call('HDEL', KEYS[1], 'c:' .. ARGV[i])
    end
    call('HSET', KEYS[1], 'dead', pack(known))
    return { 1, now }
  end
end

-- A clean stop: leases go back, and nobody waits for this process.
if op == 'leave' then
  function ops.leave()
    call('ZREM', KEYS[5], process)
    call('HDEL', KEYS[1], 'c:' .. process)
    load_all(FIRST, #KEYS)
    for i = FIRST, #KEYS do
      if loaded[KEYS[i]] then set_lease(loaded[KEYS[i]], 0, 0) end
    end
    for i = FIRST, #KEYS do
      if loaded[KEYS[i]] then store(KEYS[i], ARGV[5 + i - FIRST]) end
    end
    return { 1, now }
  end
end

-- Another generation is another set of counters: what was known of them no longer holds.
if op ~= 'attach' and (not generation or generation .. '/' .. (meta[6] or '') ~= ARGV[3]) then return { 3, now } end
-- Of every call, so that no answer is older than the one before.
call('HSET', KEYS[1], 'latest', latest_us, 'time', time_us, 'steady', steady_us)
return ops[op]()
