// build: c++ -g -O0
// A constructor that throws gives its memory back, a pointer that an exception passes by is lost, and the
// exception objects themselves are freed.
#include "../guest.h"
#include <stdexcept>
#include <string>

struct Throws {
    char pad[40];
    Throws() { throw std::runtime_error("constructor"); }
};

static void __attribute__((noinline)) passes_by(int depth) {
    char *volatile p = depth == 3 ? new char[59] : nullptr; //~ definite 59 1
    if (depth) passes_by(depth - 1);
    else throw std::runtime_error(std::string(100, 'e'));
    delete[] p;
}

int main() {
    int caught = 0;
    for (int i = 0; i < 10; i++) {
        try {
            new Throws;
        } catch (const std::exception &) {
            caught++;
        }
    }
    try {
        passes_by(5);
    } catch (const std::exception &error) {
        caught += static_cast<int>(std::string(error.what()).size());
    }
    CHECK(caught == 110);
    scrub();
    return SUCCESS();
}
