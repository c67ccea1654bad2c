// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// What realloc adds is undefined, what it keeps is as it was; calloc's is defined, and stays so.
#include "../guest.h"

static volatile int sink;

static void __attribute__((noinline)) look(const char *p) {
    if (*p == 'k') sink++; //~ UninitCondition 0
}

int main(void) {
    char *block = calloc(1, 10);
    block[3] = 'k';
    block = realloc(block, 5000);
    look(block + 3);
    look(block + 9);
    look(block + 10);
    look(block + 4999);
    memset(block + 10, 'k', 100);
    block = realloc(block, 60);
    block = realloc(block, 100);
    look(block + 59);
    CHECK(sink >= 2);
    look(block + 60);
    free(block);
    return SUCCESS();
}
