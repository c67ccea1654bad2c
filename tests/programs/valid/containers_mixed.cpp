// build: c++ -g -O0 -std=c++17
// build O2: c++ -g -O2 -std=c++17
// build clang: clang++ -g -O2 -std=c++17
// Valid: optional, variant, tuple and small strings in containers that move them; what they leave unset stays unseen.
#include "../guest.h"
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

using value = std::variant<std::monostate, char, double, std::string>;

static value make(int i) {
    switch (i % 4) {
    case 0: return {};
    case 1: return static_cast<char>('a' + i % 26);
    case 2: return i * 0.25;
    default: return std::string(static_cast<size_t>(i % 40), 'x');
    }
}

int main() {
    std::vector<value> values;
    std::deque<std::optional<int>> queue;
    std::map<std::tuple<char, short, std::string>, value> index;
    for (int i = 0; i < 120; i++) {
        values.insert(values.begin() + i / 2, make(i));
        queue.push_front(i % 3 ? std::optional<int>(i) : std::nullopt);
        index[{static_cast<char>(i % 7), static_cast<short>(i % 11), std::to_string(i % 13)}] = values.back();
    }
    std::sort(values.begin(), values.end());
    CHECK(std::is_sorted(values.begin(), values.end()) && values.front().index() == 0);
    std::sort(queue.begin(), queue.end());
    CHECK(std::count(queue.begin(), queue.end(), std::nullopt) == 40 && queue.back() == 119);
    std::set<std::string> names;
    for (auto &[key, each] : index) names.insert(std::get<2>(key));
    CHECK(names.size() == 13 && index.size() == 120);
    std::vector<bool> bits(70);
    for (size_t i = 0; i < 70; i += 3) bits[i] = true;
    CHECK(std::count(bits.begin(), bits.end(), true) == 24);
    return SUCCESS();
}
