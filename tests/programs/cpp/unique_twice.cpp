// build: c++ -g -O0
// build O2: c++ -g -O2
// build clang: clang++ -g -O2
// Two smart pointers own one object, because both were made from the same raw pointer.
#include "../guest.h"
#include <memory>

struct item {
    long id = 4;
    long values[3] = {1, 2, 3};
};
static void __attribute__((noinline)) drop(std::unique_ptr<item> &owner) {
    item *raw = owner.release();
    delete raw; //~ InvalidFree 0
    CHECK(!owner);
}

int main() {
    item *volatile raw = new item;
    std::unique_ptr<item> one(raw), two(raw);
    CHECK(one->id == 4);
    drop(one);
    drop(two);
    return SUCCESS();
}
