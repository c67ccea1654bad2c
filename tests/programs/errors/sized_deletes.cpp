// build: c++ -g -O0 -w -std=c++17
// build fast: c++ -g -O2 -w -std=c++20 -fno-builtin
// build clang: clang++ -g -O0 -w -std=c++17 -fsized-deallocation
// Deletes with a size or an alignment that is not the block's: a base class without a virtual destructor, arrays, calls
// of the operators themselves.
#include <cstdio>
#include <cstdlib>
#include <new>

struct Base {
    int number = 1;
};

struct Derived : Base {
    long more[4] = {};
};

struct alignas(64) Wide {
    char bytes[64] = {};
};

using std::align_val_t;

static void *volatile pointer;

static __attribute__((noinline)) Base *make() { return new Derived; }

int main() {
    Base *volatile base = make();
    delete base; //~ MismatchedAllocateDeallocateSize 0

    pointer = ::operator new(24);
    ::operator delete(pointer, 23); //~ MismatchedAllocateDeallocateSize 0
    pointer = ::operator new[](24);
    ::operator delete[](pointer, 25); //~ MismatchedAllocateDeallocateSize 0

    pointer = std::malloc(24);
    ::operator delete(pointer, 23); //~ MismatchedAllocateDeallocateSize 0 //~ MismatchedFree 0

    pointer = ::operator new(100, align_val_t(32));
    ::operator delete(pointer, align_val_t(64)); //~ MismatchedAllocateDeallocateAlignment 0
    pointer = ::operator new(101, align_val_t(32));
    ::operator delete(pointer); //~ MismatchedAllocateDeallocateAlignment 0
    pointer = ::operator new(102, align_val_t(32));
    ::operator delete(pointer, 102); //~ MismatchedAllocateDeallocateAlignment 0
    pointer = ::operator new(103);
    ::operator delete(pointer, align_val_t(32)); //~ MismatchedAllocateDeallocateAlignment 0
    // Less than every block has, but asked for.
    pointer = ::operator new(104, align_val_t(8));
    ::operator delete(pointer); //~ MismatchedAllocateDeallocateAlignment 0
    pointer = ::operator new[](105, align_val_t(64));
    ::operator delete[](pointer, 104, align_val_t(64)); //~ MismatchedAllocateDeallocateSize 0
    pointer = ::operator new[](106, align_val_t(64));
    ::operator delete[](pointer, 106, align_val_t(128)); //~ MismatchedAllocateDeallocateAlignment 0
    pointer = ::operator new(107, align_val_t(64));
    ::operator delete(pointer, align_val_t(3)); //~ InvalidAlignment 0 //~ MismatchedAllocateDeallocateAlignment 0
    pointer = ::operator new(108, align_val_t(64));
    ::operator delete[](pointer, 100, align_val_t(32)); //~ MismatchedAllocateDeallocateSize 0 //~ MismatchedAllocateDeallocateAlignment 0 //~ MismatchedFree 0

    // Nothing is wrong with these.
    Wide *wide = new Wide;
    delete wide;
    Wide *several = new Wide[3];
    delete[] several;
    pointer = ::operator new(109, align_val_t(32), std::nothrow);
    ::operator delete(pointer, align_val_t(32), std::nothrow);
    pointer = ::operator new(110, align_val_t(32));
    ::operator delete(pointer, 110, align_val_t(32));
    pointer = std::aligned_alloc(64, 128);
    std::free(pointer);
    pointer = ::operator new[](111);
    ::operator delete[](pointer, 111);
    std::puts("EXIT-SUCCESS");
}
