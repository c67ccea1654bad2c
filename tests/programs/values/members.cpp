// build: c++ -g -O0 -w
// build O2: c++ -g -O2 -w
// build clang: clang++ -g -O0 -w -fstandalone-debug
// Errors about memory of C++ variables: members of bases, of templates and of the library, captures, exceptions.
#include "../guest.h"
#include <array>
#include <fcntl.h>
#include <string>

static int null;
static __attribute__((noinline)) void use(const volatile void *p) {
    __asm__ volatile("" : : "r"(p) : "memory");
}
#define SEND(what) (use(&(what)), (void)!write(null, &(what), sizeof(what)), use(&(what)))

struct Nothing {};
namespace some {
struct Base {
    int number;
    char tag[4];
};
struct Virtual {
    virtual ~Virtual() {}
    int value;
};
} // namespace some
struct Derived : Nothing, some::Base, some::Virtual {
    long own;
    std::array<int, 4> array;
    static int shared;
};
int Derived::shared = 1;
template <class T> struct Box {
    T value;
};

int main() {
    null = open("/dev/null", O_WRONLY);
    Derived derived;
    SEND(derived.tag[2]); //~ SyscallParam 0 //= derived.tag[2]
    SEND(derived.value); //~ SyscallParam 0 //= derived.value
    SEND(derived.array[3]); //~ SyscallParam 0 //= derived.array._M_elems[3]
    Box<some::Base> boxes[2];
    SEND(boxes[1].value.number); //~ SyscallParam 0 //= boxes[1].value.number
    auto work = [&derived]() {
        SEND(derived.own); //~ SyscallParam 0 //= derived.own
    };
    work();
    try {
        throw 1;
    } catch (int) {
        char caught[9];
        SEND(caught[3]); //~ SyscallParam 0 //= caught[3]
    }
    free(&Derived::shared); //~ InvalidFree 0 //= shared
    std::string text;
    free(&text); //~ InvalidFree 0 //= text._M_dataplus._M_p
    return SUCCESS();
}
