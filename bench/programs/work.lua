-- What scripts do: tables, strings, closures, sorting, patterns, objects that come and go.
local scale = 2
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print(fib(24 + scale))

local x, counts = 12345, {}
for _ = 1, 100000 * scale do
    x = (x * 1103515245 + 12345) & 0x7fffffff
    local word = string.format("w%x", x % 5000)
    counts[word] = (counts[word] or 0) + 1
end
local words = {}
for word in pairs(counts) do words[#words + 1] = word end
table.sort(words, function(a, b) return counts[a] > counts[b] or counts[a] == counts[b] and a < b end)
print(words[1], counts[words[1]], #words)

local Account = {}
Account.__index = Account
function Account.new(name) return setmetatable({ name = name, total = 0, entries = {} }, Account) end
function Account:add(amount)
    self.total = self.total + amount
    self.entries[#self.entries + 1] = { amount = amount, at = #self.entries }
end
local accounts = {}
for i = 1, 100 do accounts[i] = Account.new("account " .. i) end
for i = 1, 150000 * scale do
    local account = accounts[i * 7 % 100 + 1]
    if #account.entries > 50 then account.entries = {} end
    account:add(i & 255)
end
local total = 0
for _, account in ipairs(accounts) do total = total + account.total end
print(total)

local text = table.concat(words, " ")
local found = 0
for _ = 1, 10 * scale do
    for word in text:gmatch("w%x*[05a]%f[%X]") do found = found + #word end
    text = text:gsub("1", "one"):gsub("one", "1")
end
print(found, #text)

local size, sum = 300, 0.0
local matrix = {}
for i = 1, size do
    matrix[i] = {}
    for k = 1, size do matrix[i][k] = (i * k) % 17 / 4 end
end
for _ = 1, 4 * scale do
    for i = 2, size - 1 do
        local row, above, below = matrix[i], matrix[i - 1], matrix[i + 1]
        for k = 2, size - 1 do row[k] = (row[k - 1] + row[k + 1] + above[k] + below[k]) / 4 end
    end
end
for i = 1, size do for k = 1, size do sum = sum + matrix[i][k] end end
print(string.format("%.6f", sum))
