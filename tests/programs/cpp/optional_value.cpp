// build: c++ -g -O0 -std=c++17
// build clang: clang++ -g -O0 -std=c++17
// An optional that is empty and a variant of the other kind, looked into without asking.
#include "../guest.h"
#include <optional>

static volatile int sink;

static std::optional<int> *__attribute__((noinline)) make(bool full) {
    auto *one = static_cast<std::optional<int> *>(::operator new(sizeof(std::optional<int>)));
    new (one) std::optional<int>();
    if (full) *one = 5;
    return one;
}
static void __attribute__((noinline)) look(const std::optional<int> &one) {
    if (*one == 5) sink = sink + 1; //~ UninitCondition 0
}

int main() {
    auto *full = make(true), *empty = make(false);
    CHECK(full->has_value() && !empty->has_value());
    look(*full);
    CHECK(sink == 1);
    look(*empty);
    CHECK(empty->value_or(3) == 3);
    ::operator delete(full);
    ::operator delete(empty);
    return SUCCESS();
}
