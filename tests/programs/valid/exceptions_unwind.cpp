// build: c++ -g -O0
// build O2: c++ -g -O2
// build clang: clang++ -g -O2
// Valid: exceptions through frames with half-made objects, rethrown, nested, and from constructors of arrays.
#include "../guest.h"
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

static int alive;
struct part {
    explicit part(int n) : number(n), text(static_cast<size_t>(n) + 20, 'p') {
        if (n == 7) throw std::runtime_error("seven " + text);
        alive++;
    }
    part(const part &other) : number(other.number), text(other.text) { alive++; }
    ~part() { alive--; }
    int number;
    std::string text;
};
struct whole {
    explicit whole(int n) : first(n), second(std::make_unique<part>(n + 1)), third(n + 2) {}
    part first;
    std::unique_ptr<part> second;
    part third;
};

static int __attribute__((noinline)) attempt(int n) {
    try {
        std::vector<whole> list;
        list.reserve(4);
        for (int i = 0; i < 4; i++) list.emplace_back(n + i);
        return list[3].third.number;
    } catch (std::exception &error) {
        if (n == 4) throw std::logic_error(std::string("four: ") + error.what());
        return -1;
    }
}

int main() {
    int caught = 0;
    for (int n = 0; n < 12; n++) {
        try {
            int result = attempt(n);
            CHECK(result == (n <= 1 || n > 7 ? n + 5 : -1));
        } catch (std::logic_error &error) {
            caught++;
            CHECK(std::string(error.what()).find("four: seven ppp") == 0);
        }
        CHECK(alive == 0);
    }
    CHECK(caught == 1);
    return SUCCESS();
}
