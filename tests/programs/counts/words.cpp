// build: g++ -g -O2 -fno-plt
// C++ of some size: containers, algorithms, strings, streams, regular expressions, visitors, and a parser, without anything that
// differs from run to run.
#include "../guest.h"
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

static unsigned seed = 12345;

static unsigned next() {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static std::string word() {
    static const char *const parts[] = {"ka", "lo", "mi", "ne", "ru", "sa", "ti", "vo"};
    std::string all;
    for (unsigned i = 0, count = 1 + next() % 4; i < count; i++) all += parts[next() % 8];
    return all;
}

struct Node {
    virtual ~Node() = default;
    virtual long value() const = 0;
};

struct Number : Node {
    long number;
    explicit Number(long number) : number(number) {}
    long value() const override { return number; }
};

struct Pair : Node {
    char sign;
    std::unique_ptr<Node> left, right;
    Pair(char sign, std::unique_ptr<Node> left, std::unique_ptr<Node> right)
        : sign(sign), left(std::move(left)), right(std::move(right)) {}
    long value() const override {
        long a = left->value(), b = right->value();
        switch (sign) {
        case '+': return a + b;
        case '-': return a - b;
        default: return a * b % 1000003;
        }
    }
};

class Parser {
    const std::string &text;
    size_t at = 0;

    std::unique_ptr<Node> atom() {
        if (text[at] == '(') {
            at++;
            auto inner = sum();
            at++;
            return inner;
        }
        long number = 0;
        while (at < text.size() && isdigit(static_cast<unsigned char>(text[at]))) number = number * 10 + text[at++] - '0';
        return std::make_unique<Number>(number);
    }

    std::unique_ptr<Node> product() {
        auto left = atom();
        while (at < text.size() && text[at] == '*') {
            at++;
            left = std::make_unique<Pair>('*', std::move(left), atom());
        }
        return left;
    }

  public:
    explicit Parser(const std::string &text) : text(text) {}

    std::unique_ptr<Node> sum() {
        auto left = product();
        while (at < text.size() && (text[at] == '+' || text[at] == '-')) {
            char sign = text[at++];
            left = std::make_unique<Pair>(sign, std::move(left), product());
        }
        return left;
    }
};

static std::string expression(int depth) {
    if (depth == 0) return std::to_string(next() % 100);
    std::string left = expression(depth - 1), right = expression(depth - 1);
    return "(" + left + "+-*"[next() % 3] + right + ")";
}

using Value = std::variant<long, double, std::string>;

static size_t weight(const Value &value) {
    return std::visit(
        [](const auto &inner) -> size_t {
            if constexpr (std::is_same_v<std::decay_t<decltype(inner)>, std::string>)
                return inner.size();
            else
                return static_cast<size_t>(inner);
        },
        value);
}

int main() {
    std::vector<std::string> words(4000);
    std::generate(words.begin(), words.end(), word);
    std::map<std::string, int> counted;
    std::unordered_map<std::string, std::vector<size_t>> places;
    for (size_t i = 0; i < words.size(); i++) {
        counted[words[i]]++;
        places[words[i]].push_back(i);
    }
    CHECK(counted.size() == places.size());
    std::vector<std::pair<std::string, int>> ordered(counted.begin(), counted.end());
    std::stable_sort(ordered.begin(), ordered.end(), [](const auto &a, const auto &b) { return a.second > b.second; });
    CHECK(ordered.front().second >= ordered.back().second);

    long sum = 0;
    for (int i = 0; i < 60; i++) {
        std::string text = expression(7);
        Parser parser(text);
        sum = (sum + parser.sum()->value()) % 1000003;
    }

    std::regex pattern("(ka|lo)+(mi|ne)?(ru)*");
    size_t matched = 0;
    for (size_t i = 0; i < 1200; i++) matched += std::regex_match(words[i], pattern);
    CHECK(matched > 0 && matched < 1200);

    std::ostringstream out;
    for (size_t i = 0; i < 800; i++) out << words[i] << ' ' << i * 0.5 << '\n';
    std::istringstream in(out.str());
    std::string name;
    double half, halves = 0;
    while (in >> name >> half) halves += half;
    CHECK(halves == 800.0 * 799 / 4);

    std::vector<Value> values;
    for (unsigned i = 0; i < 3000; i++) {
        if (i % 3 == 0) values.emplace_back(static_cast<long>(i));
        else if (i % 3 == 1) values.emplace_back(i * 0.25);
        else values.emplace_back(words[i]);
    }
    size_t total = 0;
    for (int round = 0; round < 20; round++) for (const Value &value : values) total += weight(value);
    std::set<size_t, std::greater<>> sizes;
    for (const Value &value : values) sizes.insert(weight(value));
    CHECK(total > sizes.size() && sum != 1);
    return SUCCESS();
}
