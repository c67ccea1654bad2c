// build: c++ -g -O0
// The heuristic for multiple inheritance: a pointer to the second base is a pointer to the object.
#include "../guest.h"

struct First {
    long a = 1;
    virtual ~First() {}
    virtual int one() { return 1; }
};
struct Second {
    long b = 2;
    virtual ~Second() {}
    virtual int two() { return 2; }
};
struct Both : First, Second {
    long c = 3;
    int one() override { return 11; }
    int two() override { return 22; }
};

static Second *second;
static long *member;

static void __attribute__((noinline)) fill() {
    second = new Both; //~ reachable 40 1
    member = &(new Both)->c; //~ possible 40 1
    Second *volatile lost = new Both; //~ definite 40 1
    lost = nullptr;
}

int main() {
    fill();
    CHECK(second->two() == 22 && *member == 3);
    scrub();
    return SUCCESS();
}
