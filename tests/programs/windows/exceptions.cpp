// build: g++ -g -O2 -fno-plt -fno-reorder-blocks-and-partition
// build frames: g++ -g -O1 -fno-plt -fno-omit-frame-pointer
// build parted: g++ -g -O2 -fno-plt
// Functions that switch collection, with the names of C++, and left by exceptions.
#include "../guest.h"
#include <stdexcept>

#define SEPARATE __attribute__((noinline, noclone))

static volatile int sink;

SEPARATE static void work(int turns) {
    for (int i = 0; i < turns; i++) sink = sink + i;
}

namespace ns {
SEPARATE int f(int x) {
    work(10);
    if (x % 3 == 0) throw std::runtime_error("out of it");
    work(10);
    return x;
}

SEPARATE int f(double x) {
    work(20);
    return static_cast<int>(x);
}

template <typename T> SEPARATE T twice(T x) {
    work(5);
    return x + x;
}

struct Guard {
    SEPARATE ~Guard() { work(3); }
};

// Catches, so that it is still active, and lets others through.
SEPARATE int catches(int x) {
    Guard guard;
    try {
        return f(x);
    } catch (const std::logic_error &) {
        return 0;
    }
}
}

int main() {
    int caught = 0;
    for (int i = 0; i < 12; i++) {
        try {
            ns::catches(i);
        } catch (const std::runtime_error &) {
            caught++;
        }
        work(50);
        ns::f(1.5);
        ns::twice(i);
    }
    CHECK(caught == 4);
    return SUCCESS();
}
