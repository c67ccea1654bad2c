// build: c++ -g -O0
// build O2: c++ -g -O2
// build clang: clang++ -g -O1
// An iterator of a vector is kept across an insertion that moves the elements.
#include "../guest.h"
#include <vector>

static volatile long sink;

static void __attribute__((noinline)) insert(std::vector<long> &list) {
    for (long i = 0; i < 50; i++) list.push_back(i);
}

int main() {
    std::vector<long> list{3, 1, 2};
    auto found = list.begin() + 2;
    auto end = list.end();
    CHECK(*found == 2 && end - found == 1);
    insert(list);
    sink = *reinterpret_cast<volatile long *>(&*found); //~ InvalidRead 8
    found = list.begin() + 2;
    CHECK(*found == 2);
    return SUCCESS();
}
