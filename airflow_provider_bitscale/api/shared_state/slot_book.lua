-- The slot book of limit/slot_book.py at a Redis server, in one step and by its clock: function by function the
-- same, so read it there. Before this text stand, as locals, its constants, FIELDS of a book, and an EMPTY one.
-- KEYS: the book. ARGV: the operation's name and its fields. The answer: now, 1 if the key held something else
-- that is now replaced, and the turn.

local KEY, OPERATION = KEYS[1], ARGV[1]
-- Longer than any book that was written here.
local MOST_BYTES = 512
local min, max, floor, abs = math.min, math.max, math.floor, math.abs

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
    and book.head <= book.tickets
    and 0 < book.share and book.share <= 1
    and book.written_at <= now + CLOCK_TOLERANCE
    and book.head_at <= now + 2 * MAX_PAUSE
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

local function left()
  local spare = min(SPARE_REQUESTS, SPARE_SHARE * book.limit)
  return max(0, floor(book.limit - spare) - book.claimed - book.others)
end

local function gap_of(gap, assumed)
  if assumed ~= 0 and book.limit ~= 0 then
    gap = 0
  end
  local spread = 0
  if book.limit ~= 0 and left() <= book.limit / 2 then
    spread = (book.reset_at - now) / max(left(), 1)
  end
  return max(gap / share(), spread)
end

local function due(ticket, gap)
  local ahead = max(0, ticket - book.head)
  local at = book.head_at + ahead * gap
  if book.limit ~= 0 and ahead >= left() then
    local windows = floor((ahead - left()) / book.limit)
    at = max(at, book.reset_at + RESET_MARGIN + windows * book.length)
  end
  return at
end

local function claim(ticket, gap, behind)
  book.head_at = max(due(ticket, gap), now - behind) + gap
  book.head = max(book.head, ticket + 1)
  book.claimed = book.claimed + 1
end

local function roll_over()
  if now > book.told_reset_at + FORGET_SECONDS then
    book.limit, book.length, book.reset_at, book.told_reset_at = 0, 0, 0, 0
  end
  if book.limit ~= 0 and now >= book.reset_at + RESET_MARGIN then
    local length = book.length ~= 0 and book.length or UNKNOWN_LENGTH
    book.reset_at = book.reset_at + length * (1 + floor((now - book.reset_at - RESET_MARGIN) / length))
    book.claimed, book.others = 0, 0
  end
end

local operations = {}

function operations.Book(gap, behind, assumed, ticket, at_most)
  local pace = gap_of(gap, assumed)
  if not (0 <= ticket and ticket < book.tickets) then
    ticket = book.tickets
    book.tickets = book.tickets + 1
  end
  local granted = 0
  if due(ticket, pace) <= now then
    claim(ticket, pace, behind)
    granted = 1
  end
  while granted > 0 and granted < at_most and book.head == book.tickets do
    pace = gap_of(gap, assumed)
    if due(book.head, pace) > now then
      break
    end
    book.tickets = book.tickets + 1
    claim(book.head, pace, behind)
    granted = granted + 1
  end
  return ticket, granted, gap_of(gap, assumed)
end

function operations.GiveBack(gap, assumed, ticket, granted)
  local pace = gap_of(gap, assumed)
  if granted ~= 0 then
    book.head_at = book.head_at - granted * pace
    book.claimed = max(0, book.claimed - granted)
  end
  if ticket >= 0 and ticket == book.tickets - 1 and ticket >= book.head then
    book.tickets = book.tickets - 1
  elseif ticket == book.head and book.head < book.tickets then
    book.head = book.head + 1
  end
end

function operations.Refused(left_ago, asked_for, jitter)
  if now - left_ago >= book.refused_at then
    local again = book.paused_until ~= 0 and now < book.paused_until + AGAIN_SECONDS
    book.refusals = again and book.refusals + 1 or 1
    book.share = max(SMALLEST_SHARE, share() / 2)
    book.refused_at = now
  end
  local pause = asked_for
  if pause == 0 then
    local failures = floor(max(book.refusals, 1))
    pause = min(MAX_BACKOFF, 2 ^ min(failures - 1, 10))
  end
  pause = min(pause, MAX_PAUSE) + RESET_MARGIN + jitter * min(1, 0.1 * pause)
  book.paused_until = max(book.paused_until, now + pause)
  book.head_at = max(book.head_at, book.paused_until)
end

function operations.Told(limit, used, reset_in)
  if reset_in <= 0 then
    return
  end
  local reset_at = now + reset_in
  if abs(reset_at - book.reset_at) >= SAME_RESET then
    if book.told_reset_at ~= 0 and reset_at >= book.told_reset_at + SAME_RESET then
      local length = reset_at - book.told_reset_at
      book.length = book.length ~= 0 and min(book.length, length) or length
    end
    if book.limit == 0 or (book.reset_at > now and reset_at > book.reset_at) then
      book.claimed = used
    end
    book.reset_at = reset_at
    book.others = 0
  end
  book.told_reset_at = max(book.told_reset_at, reset_at)
  book.limit = limit
  book.others = max(book.others, used - book.claimed)
end

book.written_at = now
roll_over()
local ticket, granted, gap = operations[OPERATION](unpack(asked))
ticket, granted, gap = ticket or -1, granted or 0, gap or 0

local state = {}
for index, field in ipairs(FIELDS) do
  state[index] = book[field]
end
redis.call('SET', KEY, text_of(state), 'PX', KEEP_MILLISECONDS)

local wait = (granted > 0 or ticket < 0) and 0 or max(0, due(ticket, gap) - now)
local hold = max(0, due(book.head, gap) - now)
return text_of({
  now, is_replaced and 1 or 0,
  granted, granted > 0 and -1 or ticket, wait, hold, book.limit, book.claimed + book.others, max(0, book.reset_at - now),
})
