// build: c++ -g -O0
// build O2: c++ -g -O2 -fno-devirtualize
// build clang: clang++ -g -O1
// A virtual function of an object that was deleted through its base class.
#include "../guest.h"

struct shape {
    virtual ~shape() = default;
    virtual int sides() const { return 0; }
    long weight = 2;
};
struct square : shape {
    int sides() const override { return 4; }
};
static volatile int sink;

static void __attribute__((noinline)) forget(shape *one) { delete one; }

int main() {
    shape *volatile one = new square;
    CHECK(one->sides() == 4);
    forget(one);
    sink = one->sides(); //~ InvalidRead 8
    return SUCCESS();
}
