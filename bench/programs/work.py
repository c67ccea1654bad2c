# What scripts do: strings, dictionaries, sorting, classes, regular expressions, JSON.
import json
import re
import sys


class Account:
    def __init__(self, name):
        self.name = name
        self.entries = []

    def add(self, amount):
        self.entries.append(amount)
        return self

    def balance(self):
        return sum(self.entries)


def words(count):
    x = 12345
    for _ in range(count):
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        yield "w%x" % (x % 5000)


def main(scale):
    counts = {}
    for word in words(40000 * scale):
        counts[word] = counts.get(word, 0) + 1
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]

    accounts = [Account("account %d" % i) for i in range(500)]
    for i in range(50000 * scale):
        accounts[i * 7 % 500].add(i & 255)
    total = sum(account.balance() for account in accounts)

    text = " ".join(word for word, _ in top) * 200 * scale
    found = len(re.findall(r"w[0-9a-f]*[05a]\b", text))

    rows = [{"id": i, "name": "row %d" % i, "tags": ["a", "b", i]} for i in range(4000 * scale)]
    again = json.loads(json.dumps(rows))
    print(top[:3], total, found, again == rows)


main(int(sys.argv[1]))
