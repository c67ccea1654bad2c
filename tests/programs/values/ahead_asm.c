// build: cc -g -O1 -w
// build clang: clang -g -O1 -w
// The branches of `a && b` in the other order, as compilers write them: a branch on b that is undefined matters only where
// one on a does not lead to the same place.
// peer: reports all but the plainest of them
#include "../guest.h"

#define FUNCTION(NAME, CODE) \
    static int __attribute__((noinline)) NAME(const char *p) { \
        asm goto(CODE : : "r"(p) : "eax", "ecx", "edx", "cc", "memory" : other); return 1; \
    other: \
        return 2; \
    }
#define MEMORY "cmpb $0, 1(%0)\n je %l[other]\n cmpb $0, (%0)\n je %l[other]\n"
#define REGISTERS \
    "movzbl 1(%0), %%eax\n movzbl (%0), %%ecx\n test %%al, %%al\n je %l[other]\n test %%cl, %%cl\n je %l[other]\n"
#define LOADED "cmpb $3, 1(%0)\n jle %l[other]\n movzbl (%0), %%edx\n and $1, %%edx\n sub $1, %%edx\n jne %l[other]\n"
#define FAR_SIDE "cmpb $0, 1(%0)\n jne 1f\n jmp %l[other]\n 1: testb $1, (%0)\n je 2f\n jmp 3f\n 2: jmp %l[other]\n 3:\n"
#define THREE "cmpb $0, 1(%0)\n je %l[other]\n cmpb $0, 2(%0)\n je %l[other]\n cmpb $0, (%0)\n je %l[other]\n"
#define STORES "cmpb $0, 1(%0)\n je %l[other]\n movb $0, 3(%0)\n cmpb $0, (%0)\n je %l[other]\n"

FUNCTION(memory, MEMORY)
FUNCTION(registers, REGISTERS)
FUNCTION(loaded, LOADED)
FUNCTION(far_side, FAR_SIDE)
FUNCTION(three, THREE)
FUNCTION(memory_matters, MEMORY) //~ UninitCondition 0
FUNCTION(registers_matter, REGISTERS) //~ UninitCondition 0
FUNCTION(loaded_matters, LOADED) //~ UninitCondition 0
FUNCTION(far_side_matters, FAR_SIDE) //~ UninitCondition 0
FUNCTION(stores, STORES) //~ UninitCondition 0

static volatile int sink;

int main(void) {
    char *unset = malloc(4), *set = malloc(4);
    unset[0] = 0;
    set[0] = 1;
    CHECK(memory(unset) == 2);
    CHECK(registers(unset) == 2);
    CHECK(loaded(unset) == 2);
    CHECK(far_side(unset) == 2);
    CHECK(three(unset) == 2);
    sink = memory_matters(set);
    sink = registers_matter(set);
    sink = loaded_matters(set);
    sink = far_side_matters(set);
    sink = stores(unset);
    free(unset);
    free(set);
    return SUCCESS();
}
