// build: cc -g -O0 -w
// build O2: cc -g -O2 -w -fno-builtin
// build clang: clang -g -O1 -w -fno-builtin
// Frees of what never came from the heap: a literal, a static array, a local one, memory of mmap, a function.
#include "../guest.h"
#include <sys/mman.h>

static volatile int frees;
static char table[64];
static void __attribute__((noinline)) release(void *volatile what, int line) {
    free(what); //~ InvalidFree 0
    frees += line;
}

int main(void) {
    char local[32];
    void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapped != MAP_FAILED);
    release("a literal", 1);
    release(table + 16, 2);
    release(local, 3);
    release(mapped, 4);
    release((void *)main, 5);
    release((void *)16, 6);
    CHECK(munmap(mapped, 4096) == 0);
    free(malloc(1));
    free(NULL);
    return SUCCESS();
}
