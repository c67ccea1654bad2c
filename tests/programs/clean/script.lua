local function fib(n) if n < 2 then return n end return fib(n-1) + fib(n-2) end
print(fib(18))
local t = {}
for i = 1, 3000 do t[i] = (i * 7919) % 3001 end
table.sort(t) print(t[1], t[1500], #t)
table.sort(t, function(a, b) return a > b end) print(t[1])
local words = {}
for w in ("the quick brown fox jumps over the lazy dog again and again"):gmatch("%a+") do words[w] = (words[w] or 0) + 1 end
local keys = {} for k in pairs(words) do keys[#keys+1] = k end table.sort(keys)
for _, k in ipairs(keys) do io.write(k, "=", words[k], " ") end print()
print(string.format("%5.2f|%-10s|%05d|%x|%q|%g", math.pi, "left", 42, 255, "a\nb", 1e100))
print(("hello world"):gsub("o", "0"), ("x"):rep(50, ","), ("abc"):reverse(), ("Mixed"):upper())
local co = coroutine.wrap(function(a) for i = 1, 5 do a = coroutine.yield(a * i) end return "end" end)
for i = 1, 6 do io.write(tostring(co(i)), " ") end print()
print(pcall(function() error({code = 5}) end), select("#", pcall(error)))
print(pcall(function() local x = nil; return x.y end))
local mt = setmetatable({}, {__index = function(_, k) return k .. "!" end, __add = function() return 99 end, __call = function(_, a) return a * 2 end, __close = function() print "closed" end})
print(mt.foo, mt + 1, mt(21))
do local c <close> = mt end
print(string.pack("<i4>d", 7, 2.5):byte(1, -1))
print(string.unpack("<i4", string.pack("<i4", -3)))
print(7 // 2, -7 // 2, 7.5 % 2, 1 << 62, 3 & 5, ~0, 2^0.5, 10 / 4, math.tointeger(3.0), "10" + 5)
print(tostring(1e15), 0x7fffffffffffffff + 1, 1e308 * 10, -(0/0) ~= -(0/0))
local s = {} for i = 1, 2000 do s[#s+1] = tostring(i) .. ":" .. i * 1.5 end
local big = table.concat(s, ";") print(#big, big:find("1999:", 1, true))
for i = 1, 50 do local g = {} for j = 1, 200 do g[j] = {j, tostring(j)} end end
collectgarbage() collectgarbage("generational") for i = 1, 2000 do local x = {i} end collectgarbage("incremental")
local weak = setmetatable({}, {__mode = "k"}) weak[{}] = 1 collectgarbage() print(next(weak))
local f = load("local a, b = ... ; return a + b, function() return a end") print((f(1, 2)))
print(select(2, load("x = = 1")))
local d = string.dump(fib) print(#d > 0, load(d, "d", "b") ~= nil)
goto done
print "not"
::done::
print(os.time{year=2020, month=1, day=1, hour=12} > 0, os.getenv("NOTHING"), utf8.char(228, 8364, 128512), utf8.len("äöü"))
print(table.unpack({1, 2, 3}, 2)) print(#table.pack(1, nil, 3)) table.move(t, 1, 10, 5) print(t[14])
for i = 10, 1, -3 do io.write(i, " ") end for x = 0, 1, 0.25 do io.write(x, " ") end print()
print(math.floor(-3.5), math.ceil(3.2), math.fmod(7, 3), math.max(1, 5, 3), math.ult(1, -1), math.type(1), math.abs(-3))
