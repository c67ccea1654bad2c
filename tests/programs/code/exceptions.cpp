// build: c++ -O2 -pthread
// build static: c++ -O2 -pthread -static
// build clang: clang++ -O0 -pthread
// Exceptions through many frames, out of callbacks of C, across threads, rethrown, in destructors' company.
#include "../guest.h"
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <typeinfo>
#include <vector>

struct Counter {
    int &count;
    explicit Counter(int &c) : count(c) {}
    ~Counter() { count++; }
};
struct Custom : std::runtime_error {
    int value;
    Custom(int v) : std::runtime_error("custom"), value(v) {}
};

static int __attribute__((noinline)) deep(int depth, int &unwound) {
    Counter counter(unwound);
    if (depth == 0) throw Custom(unwound);
    return deep(depth - 1, unwound) + 1;
}

static int thrower(const void *a, const void *b) {
    if (*static_cast<const int *>(a) == 13 || *static_cast<const int *>(b) == 13) throw std::string("unlucky");
    return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

static void __attribute__((noinline)) rethrow(int level) {
    try {
        if (level == 0) throw level;
        rethrow(level - 1);
    } catch (int &value) {
        value++;
        throw;
    }
}

static void body() {
    int unwound = 0, caught = 0;
    for (int i = 0; i < 500; i++) {
        try {
            deep(50, unwound);
        } catch (const std::exception &error) {
            caught += dynamic_cast<const Custom *>(&error) != nullptr;
        }
    }
    CHECK(unwound == 500 * 51 && caught == 500);
}

int main() {
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) threads.emplace_back(body);
    body();
    for (auto &thread : threads) thread.join();
    try {
        rethrow(20);
    } catch (int value) {
        std::printf("%d\n", value);
    }
    int numbers[] = {5, 3, 13, 1};
    try {
        std::qsort(numbers, 4, sizeof *numbers, thrower);
    } catch (const std::string &text) {
        std::puts(text.c_str());
    }
    std::exception_ptr stored;
    try {
        std::vector<int>().at(3);
    } catch (...) {
        stored = std::current_exception();
    }
    try {
        std::rethrow_exception(stored);
    } catch (const std::out_of_range &) {
        std::puts("out of range");
    }
    std::set_terminate([] {
        std::puts("terminate\nEXIT-SUCCESS");
        std::fflush(stdout);
        std::_Exit(0);
    });
    throw 5;
}
