// build: c++ -g -O0 -D_GLIBCXX_USE_CXX11_ABI=0
// The heuristic for the reference-counted std::string: the object points behind length, capacity and count.
#include "../guest.h"
#include <string>

static std::string *holder;
static char *interior;

static void __attribute__((noinline)) fill() {
    holder = new std::string(100, 'x'); //~ reachable 8 1 //~ reachable 125 1
    std::string *volatile other = new std::string(50, 'y'); //~ possible 75 1
    interior = const_cast<char *>(other->data()) + 5;
    ::operator delete(other);
    other = nullptr;
}

int main() {
    fill();
    scrub();
    return SUCCESS();
}
