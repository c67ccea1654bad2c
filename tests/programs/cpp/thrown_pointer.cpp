// build: c++ -g -O0
// build O2: c++ -g -O2
// build clang: clang++ -g -O1
// An exception carries a pointer to data whose owner is destroyed while the stack is unwound.
#include "../guest.h"
#include <memory>
#include <string>

struct failure {
    const volatile char *why;
};
static volatile int sink;

static void __attribute__((noinline)) work(int depth) {
    std::unique_ptr<char[]> message(new char[32]);
    strcpy(message.get(), "no more room");
    if (depth == 0) throw failure{message.get()};
    work(depth - 1);
    sink = depth;
}

int main() {
    for (int depth = 0; depth < 3; depth++) {
        try {
            work(depth);
        } catch (const failure &error) {
            sink = error.why[1]; //~ InvalidRead 1
        }
    }
    try {
        throw std::string("an exception with a value of its own").size();
    } catch (size_t size) {
        CHECK(size == 36);
    }
    return SUCCESS();
}
