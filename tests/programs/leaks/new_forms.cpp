// build: c++ -g -O0 -std=c++17
// build clang: clang++ -g -fsized-deallocation -O0 -std=c++17
// build static: c++ -g -O0 -std=c++17 -static
// build jemalloc: c++ -g -O0 -std=c++17 {src} -o {out} -ljemalloc
// build mimalloc: c++ -g -O0 -std=c++17 {src} -o {out} -lmimalloc
// build tcmalloc: c++ -g -O0 -std=c++17 {src} -o {out} -ltcmalloc_minimal
// Every form of operator new.
#include "../guest.h"
#include <cstdint>
#include <new>

struct Plain {
    int a[5];
};
struct alignas(64) Aligned {
    char a[64];
};

static void __attribute__((noinline)) fill() {
    Plain *volatile p = new Plain; //~ definite 20 1
    p = new Plain[3]; //~ definite 60 1
    p = new (std::nothrow) Plain; //~ definite 20 1
    p = new (std::nothrow) Plain[2]; //~ definite 40 1
    Aligned *volatile a = new Aligned; //~ definite 64 1
    CHECK(reinterpret_cast<std::uintptr_t>(a) % 64 == 0);
    a = new Aligned[2]; //~ definite 128 1
    CHECK(reinterpret_cast<std::uintptr_t>(a) % 64 == 0);
    a = new (std::nothrow) Aligned; //~ definite 64 1
    a = new (std::nothrow) Aligned[3]; //~ definite 192 1
    void *volatile raw = ::operator new(77); //~ definite 77 1
    raw = ::operator new(78, std::align_val_t(128)); //~ definite 78 1
    CHECK(reinterpret_cast<std::uintptr_t>(raw) % 128 == 0);
    p = nullptr;
    a = nullptr;
    raw = nullptr;
}

static void __attribute__((noinline)) balanced() {
    delete new Plain;
    delete[] new Plain[3];
    delete new Aligned;
    delete[] new Aligned[2];
    ::operator delete(::operator new(40), std::size_t(40));
    ::operator delete(::operator new(40, std::align_val_t(256)), std::size_t(40), std::align_val_t(256));
    ::operator delete(::operator new(40, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](40), std::size_t(40));
}

int main() {
    fill();
    balanced();
    scrub();
    return SUCCESS();
}
