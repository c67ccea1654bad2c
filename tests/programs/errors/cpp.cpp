// build: c++ -g -O0
// build fast: c++ -g -O2
// C++: a reference into a vector that has grown, a member of a deleted object, one past the end of an array.
#include <cstdio>
#include <memory>
#include <vector>

struct Shape {
    virtual ~Shape() = default;
    volatile int sides = 4;
};

static volatile int sink;

static __attribute__((noinline)) void grow(std::vector<int> &list) {
    for (int i = 0; i < 100; i++) {
        list.push_back(i);
    }
}

int main() {
    std::vector<int> list(4, 7);
    volatile int *first = &list[0];
    grow(list);
    sink = *first; //~ InvalidRead 4

    auto shape = std::make_unique<Shape>();
    Shape *raw = shape.get();
    shape.reset();
    sink = raw->sides; //~ InvalidRead 4

    volatile short *array = new short[5]();
    array[5] = 1; //~ InvalidWrite 2
    delete[] array;
    sink = array[0]; //~ InvalidRead 2
    std::puts("EXIT-SUCCESS");
}
