// build: c++ -g -O0
// build O2: c++ -g -O2
// build clang: clang++ -g -O1
// A callback has captured an object by reference that is gone when it is called.
#include "../guest.h"
#include <functional>
#include <memory>

struct session {
    volatile int user = 12;
};
static volatile int sink;

static std::function<int()> __attribute__((noinline)) make(session &current) {
    return [&current] {
        sink = sink + 1;
        return current.user + sink; //~ InvalidRead 4
    };
}

int main() {
    auto current = std::make_unique<session>();
    auto callback = make(*current);
    CHECK(callback() == 13);
    current.reset();
    sink = callback();
    return SUCCESS();
}
