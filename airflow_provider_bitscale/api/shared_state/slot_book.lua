-- The slot book of limit/slot_book.py at a Redis server, in one step and by its clock: function by function the
-- same, so read it there. Before this text stand, as locals, its constants, FIELDS of a book, and an EMPTY one.
-- KEYS: the book. ARGV: the operation's name and its fields. The answer: now, 1 if the key held something else
-- that is now replaced, and the turn.

local KEY, OPERATION = KEYS[1], ARGV[1]
-- Longer than any book that was written here.
local MOST_BYTES = 32 * #FIELDS
local min, max, floor = math.min, math.max, math.floor

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local asked = {}
for index = 2, #ARGV do
  asked[index - 1] = tonumber(ARGV[index])
end

local function is_plausible(book)
  local sum = 0
  for _, field in ipairs(FIELDS) do
    -- No comparison holds for what is not a number.
    if not (book[field] >= 0) then
      return false
    end
    sum = sum + book[field]
  end
  return sum < math.huge
    and book.head <= book.tickets and book.tickets <= book.head + MAX_WAITING
    and SMALLEST_SHARE <= book.share and book.share <= 1
    and book.length <= MAX_PAUSE
    and (book.limit == 0 or (book.limit >= 1 and book.length >= SAME_RESET))
    and max(book.head_at, book.seen_until, book.paused_until, book.reset_at, book.told_reset_at)
      <= now + MAX_PAUSE + 2 * CLOCK_TOLERANCE
    and book.written_at <= now + CLOCK_TOLERANCE
end

-- Return the book of a text; nil if it is none.
local function parsed(text)
  if #text >= MOST_BYTES then
    return nil
  end
  local words = {}
  for word in string.gmatch(text, '%S+') do
    words[#words + 1] = word
  end
  if #words ~= #FIELDS then
    return nil
  end
  local book = {}
  for index, field in ipairs(FIELDS) do
    book[field] = tonumber(words[index])
    if not book[field] then
      return nil
    end
  end
  return is_plausible(book) and book or nil
end

local function text_of(numbers)
  local words = {}
  for index, number in ipairs(numbers) do
    words[index] = string.format('%.17g', number)
  end
  return table.concat(words, ' ')
end

-- A key of another type answers with an error, which is a table.
local held = redis.pcall('GETRANGE', KEY, 0, MOST_BYTES - 1)
local book = type(held) == 'string' and parsed(held) or nil
local is_replaced = not book and held ~= ''
book = book or EMPTY

local function share()
  return min(1, book.share + SHARE_REGAINED * max(0, now - book.paused_until))
end

local function careful_gap()
  local is_new
  if book.limit ~= 0 then
    is_new = book.reset_at > book.told_reset_at
  else
    is_new = book.head < CAREFUL_TICKETS
  end
  return (is_new or share() < 1) and CAREFUL_GAP / share() or 0
end

local function usable()
  return book.limit - min(SPARE_REQUESTS, floor(SPARE_SHARE * book.limit))
end

local function left()
  return max(0, usable() - book.claimed - book.others)
end

local function gaps(gap, assumed)
  local pace = (assumed ~= 0 and book.limit ~= 0) and 0 or min(gap, MAX_PAUSE)
  if book.limit ~= 0 and left() <= book.limit / 2 then
    return pace, max(pace, (book.reset_at - now) / max(left(), 1))
  end
  return pace, pace
end

local function due(ticket, pace, gap)
  local ahead = max(0, ticket - book.head)
  if book.limit == 0 or ahead < left() then
    return book.head_at + ahead * gap
  end
  local windows = floor((ahead - left()) / usable())
  return max(book.head_at + ahead * pace, book.reset_at + RESET_MARGIN + windows * book.length)
end

local function claim(ticket, pace, gap, behind)
  local at = max(due(ticket, pace, gap), now - behind)
  book.head_at = at + min(MAX_PAUSE, max(gap, pace / share(), careful_gap()))
  book.head = max(book.head, ticket + 1)
  book.tickets = max(book.tickets, book.head)
  book.claimed = book.claimed + 1
end

local function pass_over_absent()
  if now >= book.seen_until then
    book.head = max(book.head, min(book.seen, book.tickets))
    book.seen, book.seen_until = book.tickets, now + ABSENT_SECONDS
  end
end

local function roll_over()
  if now > book.told_reset_at + FORGET_SECONDS then
    book.limit, book.length, book.reset_at, book.told_reset_at = 0, 0, 0, 0
  end
  if book.limit ~= 0 and now >= book.reset_at + RESET_MARGIN then
    local windows = 1 + floor((now - book.reset_at - RESET_MARGIN) / book.length)
    book.reset_at = book.reset_at + windows * book.length
    book.claimed, book.others = 0, 0
  end
end

-- A booking returns its ticket, the slots granted, the pace and the gap; the others nothing.
local operations = {}

function operations.Book(asked_gap, behind, assumed, ticket, at_most)
  pass_over_absent()
  if not (0 <= ticket and ticket < book.tickets) then
    ticket = book.tickets
    book.tickets = book.tickets + 1
    book.head = max(book.head, book.tickets - MAX_WAITING)
  end
  local granted = 0
  local pace, gap = gaps(asked_gap, assumed)
  while granted < at_most and due(ticket, pace, gap) <= now + EARLY_SECONDS do
    claim(ticket, pace, gap, behind)
    granted = granted + 1
    pace, gap = gaps(asked_gap, assumed)
    if book.head < book.tickets then
      break
    end
    ticket = book.tickets
  end
  return ticket, granted, pace, gap
end

function operations.GiveBack(ticket, granted)
  book.claimed = max(0, book.claimed - granted)
  if ticket == book.tickets - 1 and ticket >= book.head then
    book.tickets = book.tickets - 1
  elseif ticket == book.head and ticket < book.tickets then
    book.head = book.head + 1
  end
end

function operations.Refused(left_ago, asked_for, jitter)
  local pause = asked_for
  if now - left_ago >= book.paused_until - EARLY_SECONDS then
    local again = book.paused_until > 0 and now < book.paused_until + AGAIN_SECONDS
    book.refusals = again and book.refusals + 1 or 1
    book.share = max(SMALLEST_SHARE, share() / 2)
    if pause == 0 then
      pause = min(MAX_BACKOFF, 2 ^ min(floor(book.refusals) - 1, 10))
    end
  elseif pause == 0 then
    return
  end
  pause = min(pause, MAX_PAUSE)
  pause = pause + (RESET_MARGIN + jitter * min(1, 0.1 * pause))
  book.paused_until = max(book.paused_until, now + pause)
  book.head_at = max(book.head_at, book.paused_until)
end

function operations.Told(limit, used, reset_in)
  local reset_at = now + reset_in
  local is_over = now >= book.told_reset_at + RESET_MARGIN
  local is_later = reset_at >= book.told_reset_at + SAME_RESET
  if limit < 1 or used < 0 or not (0 < reset_in and reset_in <= MAX_PAUSE) then
    return
  end
  if is_over and not is_later then
    return
  end
  if book.limit == 0 or (is_later and not is_over) then
    book.claimed = min(book.claimed, used)
    book.others = 0
  end
  if book.limit ~= 0 and is_later and is_over then
    book.length = min(book.length, reset_at - book.told_reset_at)
  end
  book.length = max(book.length, reset_in, SAME_RESET)
  book.reset_at, book.told_reset_at = reset_at, reset_at
  book.limit = limit
  book.others = max(book.others, used - book.claimed)
end

book.written_at = now
roll_over()
local ticket, granted, pace, gap = operations[OPERATION](unpack(asked))
ticket, granted, pace, gap = ticket or -1, granted or 0, pace or 0, gap or 0
local wait = 0
if granted > 0 then
  ticket = -1
elseif ticket >= 0 then
  book.seen = min(book.seen, ticket)
  local soonest = min((ticket - book.head) * careful_gap(), CAREFUL_SECONDS)
  wait = min(max(0, soonest, due(ticket, pace, gap) - now), ASK_AGAIN_SECONDS)
end
local hold = max(0, due(book.head, pace, gap) - now)

local state = {}
for index, field in ipairs(FIELDS) do
  state[index] = book[field]
end
redis.call('SET', KEY, text_of(state), 'PX', KEEP_MILLISECONDS)

return text_of({
  now, is_replaced and 1 or 0,
  granted, ticket, wait, hold, book.limit, book.claimed + book.others, max(0, book.reset_at - now),
})
