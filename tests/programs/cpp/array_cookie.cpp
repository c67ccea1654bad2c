// build: c++ -g -O0 -w
// build clang: clang++ -g -O0 -w
// An array of objects with destructors has its size in front: delete without [] frees an address within the block.
#include "../guest.h"

struct counted {
    static int alive;
    counted() { alive++; }
    ~counted() { alive--; }
    long value = 1;
};
int counted::alive;

int main() {
    counted *good = new counted[3];
    CHECK(counted::alive == 3);
    delete[] good;
    CHECK(counted::alive == 0);
    counted *bad = new counted[4];
    delete bad; //~ InvalidFree 0
    CHECK(counted::alive == 3);
    ::operator delete[](reinterpret_cast<char *>(bad) - sizeof(size_t));
    return SUCCESS();
}
