// build: c++ -g -O0 -std=c++17
// build static: c++ -O2 -std=c++17 -static
// build jemalloc: c++ -O2 -std=c++17 {src} -o {out} -ljemalloc
// A new_handler that frees memory: operator new tries again and succeeds.
#include "../guest.h"
#include <cstdint>
#include <new>
#include <sys/resource.h>

static char *reserve;
static int handler_calls;

static void gives_back() {
    handler_calls++;
    if (!reserve) throw std::bad_alloc();
    delete[] reserve;
    reserve = nullptr;
}

int main() {
    const std::size_t mib = 1 << 20;
    // Pages that the allocator keeps for itself do not matter at this size.
    struct rlimit limits = {1600 * mib, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &limits) == 0);
    std::set_new_handler(gives_back);
    for (int form = 0; form < 4; form++) {
        handler_calls = 0;
        reserve = new char[1000 * mib];
        char *block;
        switch (form) {
        case 0: block = new char[900 * mib]; break;
        case 1: block = static_cast<char *>(::operator new(900 * mib)); break;
        case 2: block = static_cast<char *>(::operator new(900 * mib, std::align_val_t(4096))); break;
        default: block = new (std::nothrow) char[900 * mib];
        }
        CHECK(block && !reserve && handler_calls == 1);
        block[0] = block[900 * mib - 1] = 1;
        try {
            delete[] new char[900 * mib];
            CHECK(!"there is no room");
        } catch (const std::bad_alloc &) {
        }
        CHECK(handler_calls == 2);
        switch (form) {
        case 1: ::operator delete(block); break;
        case 2: ::operator delete(block, std::align_val_t(4096)); break;
        default: delete[] block;
        }
    }
    return SUCCESS();
}
