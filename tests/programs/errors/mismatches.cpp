// build: c++ -g -O0 -w
// build fast: c++ -g -O2 -w -fno-builtin -fno-inline
// build old: c++ -g -O1 -w -std=c++11
// build clang: clang++ -g -O0 -w
// Blocks that another family of functions frees; they are freed all the same.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

static void *volatile pointer;
static volatile char sink;

int main() {
    pointer = std::malloc(10);
    ::operator delete(pointer); //~ MismatchedFree 0
    pointer = std::malloc(11);
    ::operator delete[](pointer); //~ MismatchedFree 0
    pointer = std::calloc(3, 4);
    ::operator delete(pointer, std::nothrow); //~ MismatchedFree 0

    pointer = ::operator new(13);
    std::free(pointer); //~ MismatchedFree 0
    pointer = ::operator new[](14);
    std::free(pointer); //~ MismatchedFree 0
    pointer = ::operator new(15);
    ::operator delete[](pointer); //~ MismatchedFree 0
    pointer = ::operator new[](16);
    ::operator delete(pointer); //~ MismatchedFree 0
    pointer = ::operator new(17, std::nothrow);
    std::free(pointer); //~ MismatchedFree 0

    pointer = ::operator new(18);
    std::memcpy(pointer, "still known to be there", 18);
    pointer = std::realloc(pointer, 40); //~ MismatchedFree 0
    if (std::memcmp(pointer, "still known to be", 17) != 0) {
        std::puts("the contents are lost");
    }
    std::free(pointer);
    pointer = ::operator new[](19);
    pointer = std::realloc(pointer, 4); //~ MismatchedFree 0
    std::free(pointer);

    pointer = strdup("of libc");
    ::operator delete(pointer); //~ MismatchedFree 0

    // Freed by it: the second one is of no block.
    pointer = ::operator new(20);
    std::free(pointer); //~ MismatchedFree 0
    ::operator delete(pointer); //~ InvalidFree 0

    // Nothing is wrong with these.
    ::operator delete(::operator new(21, std::nothrow));
    ::operator delete[](::operator new[](22), std::nothrow);
    std::free(std::realloc(nullptr, 23));
    ::operator delete(nullptr);
    std::puts("EXIT-SUCCESS");
}
