// build: c++ -g -O0 -w -std=c++17
// build fast: c++ -g -O2 -w -std=c++17 -fno-builtin
// build clang: clang++ -g -O0 -w -std=c++17
// peer: ends the program where operator new is to throw
// Operators new that are asked for what cannot be: they do what the program's own do, which is to throw for a size, and
// not the same in every version of the library for an alignment.
#include <cstdio>
#include <new>

using std::align_val_t;

// Libraries round it up to the alignment: more than that, so that it stays negative.
static volatile long minus = -1000;
static void *volatile sink;
static volatile long odd = 24;
static int thrown;

template <typename Work>
static void throws(Work work) {
    try {
        work();
        std::puts("nothing was thrown");
    } catch (const std::bad_alloc &) {
        thrown++;
    }
}

int main() {
    throws([] { sink = ::operator new(minus); }); //~ FishyValue 0
    throws([] { sink = ::operator new[](minus); }); //~ FishyValue 0
    throws([] { sink = ::operator new(minus, align_val_t(64)); }); //~ FishyValue 0
    throws([] { sink = ::operator new[](minus, align_val_t(64)); }); //~ FishyValue 0
    try {
        sink = ::operator new(8, align_val_t(odd)); //~ InvalidAlignment 0
    } catch (const std::bad_alloc &) {
    }
    try {
        sink = ::operator new[](8, align_val_t(odd)); //~ InvalidAlignment 0
    } catch (const std::bad_alloc &) {
    }
    sink = ::operator new(minus, std::nothrow); //~ FishyValue 0
    if (sink != nullptr) {
        std::puts("there is something");
    }
    sink = ::operator new(8, align_val_t(odd), std::nothrow); //~ InvalidAlignment 0
    if (thrown == 4) {
        std::puts("EXIT-SUCCESS");
    }
}
