// build: cc -g -O0
// build O2: cc -g -O2
// peer: takes frames of more than 2 MB for other stacks
// peer O2: takes frames of more than 2 MB for other stacks
// Local arrays of some megabytes, of fixed and of variable size, of which only the beginning is set.
#include "../guest.h"
#include <alloca.h>

static volatile int sink;

static void __attribute__((noinline)) look(const char *p) {
    if (*p == 3) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) set(const char *p) {
    if (*p == 1) sink++;
}
static void __attribute__((noinline)) fixed(void) {
    char list[3000000];
    __asm__ volatile("" : : "r"(list) : "memory");
    memset(list, 1, 1000);
    set(list + 10);
    look(list + 2000000);
}
static void __attribute__((noinline)) variable(size_t size) {
    char *list = alloca(size);
    __asm__ volatile("" : : "r"(list) : "memory");
    memset(list, 1, size / 2);
    set(list + size / 4);
    look(list + size - 1);
}

int main(void) {
    fixed();
    variable(30);
    variable(100000);
    variable(5000000);
    CHECK(sink >= 4);
    return SUCCESS();
}
