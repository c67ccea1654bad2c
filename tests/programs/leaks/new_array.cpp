// build: c++ -g -O0
// The heuristic for arrays of classes with a destructor: the program holds the address after the count.
#include "../guest.h"

struct Counted {
    long value[2];
    ~Counted() { value[0] = -1; }
};

static Counted *array, *second_element;

static void __attribute__((noinline)) fill() {
    array = new Counted[10]; //~ reachable 168 1
    second_element = new Counted[4] + 1; //~ possible 72 1
    Counted *volatile lost = new Counted[2]; //~ definite 40 1
    lost = nullptr;
}

int main() {
    fill();
    scrub();
    return SUCCESS();
}
