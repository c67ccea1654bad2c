// build: c++ -g -O0 -std=c++17
// build optimised: c++ -g -O2 -std=c++17
// peer: ends the program when operator new fails
// Blocks that operator new gets at its second try are those of the line that called it.
#include "../guest.h"
#include <new>
#include <sys/resource.h>

static char *reserve;
static const std::size_t mib = 1 << 20;

static void gives_back() {
    delete[] reserve;
    reserve = nullptr;
}

static void __attribute__((noinline)) fill() {
    reserve = new char[100 * mib];
    char *volatile p = static_cast<char *>(::operator new(90 * mib)); //~ definite 94371840 1
    CHECK(!reserve);
    p = nullptr;
}

static void __attribute__((noinline)) fill_more() {
    reserve = new char[100 * mib];
    char *volatile p = new char[91 * mib]; //~ definite 95420416 1
    CHECK(!reserve);
    p = nullptr;
}

int main() {
    struct rlimit limits = {160 * mib, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &limits) == 0);
    std::set_new_handler(gives_back);
    fill();
    limits.rlim_cur += 90 * mib;
    CHECK(setrlimit(RLIMIT_AS, &limits) == 0);
    fill_more();
    scrub();
    return SUCCESS();
}
