// build: cc -g -O0
// build nonpie: cc -g -O2 -no-pie
// build static: cc -g -O0 -static
// build staticpie: cc -g -O0 -static-pie
// build musl: musl-gcc -g -O0 -static
// Roots in .bss, .data, a static local and arrays; words that are not aligned are no pointers.
#include "../guest.h"

void *in_bss;
void *in_data = &in_bss;
void *in_array[100];
struct {
    int before;
    struct {
        char *inner[2];
    } nested;
} in_struct;
struct __attribute__((packed, aligned(8))) {
    char before;
    void *unaligned;
} packed_root;

static void *volatile *local_root(void) {
    static void *volatile root;
    return &root;
}

static void __attribute__((noinline)) fill(void) {
    in_bss = calloc(1, 10); //~ reachable 10 1
    in_data = calloc(1, 20); //~ reachable 20 1
    in_array[77] = calloc(1, 30); //~ reachable 30 1
    in_struct.nested.inner[1] = calloc(1, 40); //~ reachable 40 1
    *local_root() = calloc(1, 50); //~ reachable 50 1
    packed_root.unaligned = calloc(1, 60); //~ definite 60 1
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
