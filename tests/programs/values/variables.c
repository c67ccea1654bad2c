// build: cc -g -O0 -w
// build O2: cc -g -O2 -w
// build clang: clang -g -O0 -w
// build clangO2: clang -g -O2 -w
// build clang4: clang -gdwarf-4 -O0 -w
// peer clang4: takes the number of elements that clang gives for the last index
// Errors about memory that is a variable's: `//= NAME`, with the part of it.
#include "../guest.h"
#include "../client_requests.h"
#include <fcntl.h>
#include <pthread.h>

struct inner {
    char tag[4];
    long count;
};
struct outer {
    int first;
    struct inner in;
    struct inner many[2];
};
struct large {
    long words[6];
};
union either {
    int number;
    char bytes[64];
};
typedef volatile struct outer alias;

static int plain;
static struct outer table[4];
alias external;

static void __attribute__((noinline)) use(const volatile void *p) {
    __asm__ volatile("" : : "r"(p) : "memory");
}
// Makes memory undefined, and lets it be checked.
#define UNSET(what)                                                                          \
    do {                                                                                     \
        use(&(what));                                                                        \
        REQUEST(0, MAKE_MEM_UNDEFINED, ADDRESS(&(what)), sizeof(what));                      \
        REQUEST(0, CHECK_MEM_IS_DEFINED, ADDRESS(&(what)), sizeof(what));                    \
        REQUEST(0, MAKE_MEM_DEFINED, ADDRESS(&(what)), sizeof(what));                        \
        use(&(what));                                                                        \
    } while (0)

static void __attribute__((noinline)) callee(struct outer *p) {
    REQUEST(0, MAKE_MEM_UNDEFINED, ADDRESS(&p->many[1].tag[2]), 1);
    REQUEST(0, CHECK_MEM_IS_DEFINED, ADDRESS(p), sizeof *p), use(p); //~ ClientCheck 0 //= seen.many[1].tag[2]
}
static void __attribute__((noinline)) by_value(struct large value, int number) {
    UNSET(value.words[4]); //~ ClientCheck 0 //= value.words[4]
    use(&number);
}
static inline __attribute__((always_inline)) void inlined(int number) {
    int copies[3] = {number, number, number};
    UNSET(copies[1]); //~ ClientCheck 0 //= copies[1]
}
static void __attribute__((noinline)) recursive(int depth, int *outermost) {
    int own[2] = {depth, depth};
    use(own);
    if (depth > 0) return recursive(depth - 1, outermost ? outermost : own);
    UNSET(outermost[1]); //~ ClientCheck 0 //= own[1]
}
// Calls nothing, so that its variables may lie below the stack pointer.
static int __attribute__((noinline)) leaf(void) {
    volatile int low[4];
    low[0] = low[1] = low[3] = 1;
    REQUEST(0, CHECK_MEM_IS_DEFINED, ADDRESS(low), sizeof low), low[0]++; //~ ClientCheck 0 //= low[2]
    return low[0];
}
static void *__attribute__((noinline)) thread(void *unused) {
    short mine[5] = {0};
    UNSET(mine[2]); //~ ClientCheck 0 //= mine[2]
    return unused;
}

int main(int argc, char **argv) {
    int scalar[1] = {argc}, array[6] = {0}, grid[2][3] = {{0}};
    struct outer seen = {0};
    union either either = {0};
    static int counter;
    UNSET(scalar); //~ ClientCheck 0 //= scalar[0]
    UNSET(array[3]); //~ ClientCheck 0 //= array[3]
    UNSET(seen.in.count); //~ ClientCheck 0 //= seen.in.count
    UNSET(either.bytes[2]); //~ ClientCheck 0 //= either
    UNSET(grid[1][2]); //~ ClientCheck 0 //= grid[1][2]
    callee(&seen);
    {
        long array[2] = {argc, argc};
        UNSET(array[1]); //~ ClientCheck 0 //= array[1]
        use(array);
    }
    UNSET(plain); //~ ClientCheck 0 //= plain
    UNSET(table[2].many[1].count); //~ ClientCheck 0 //= table[2].many[1].count
    UNSET(external.in.tag[1]); //~ ClientCheck 0 //= external.in.tag[1]
    UNSET(counter); //~ ClientCheck 0 //= counter
    struct large large = {{argc}};
    by_value(large, argc);
    inlined(argc);
    recursive(3, NULL);
    CHECK(leaf() == 2);
    pthread_t other;
    CHECK(pthread_create(&other, NULL, thread, NULL) == 0 && pthread_join(other, NULL) == 0);
    int null = open("/dev/null", O_WRONLY);
    use(array), use(&seen);
    REQUEST(0, MAKE_MEM_UNDEFINED, ADDRESS(&seen.in), sizeof seen.in);
    CHECK(write(null, &seen.in.tag[1], 2) == 2); //~ SyscallParam 0 //= seen.in.tag[1]
    free(&array[2]); //~ InvalidFree 0 //= array[2]
    return SUCCESS();
}
