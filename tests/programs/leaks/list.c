// build: cc -g -O0
// build O2: cc -g -O2 -fno-inline
// A lost list: its head is definite, the rest indirect; a kept list is reachable as a whole.
#include "../guest.h"

struct item {
    struct item *next;
    int value;
};

static struct item *kept;

static void __attribute__((noinline)) fill(void) {
    struct item *volatile head = NULL;
    for (int i = 0; i < 10; i++) {
        struct item *item = calloc(1, sizeof *item); //~ definite 16+144 1 //~ indirect 144 9
        item->next = head;
        head = item;
        __asm__ volatile("" ::: "memory");
    }
    head = NULL;
    for (int i = 0; i < 5; i++) {
        struct item *item = calloc(1, 40); //~ reachable 200 5
        item->next = kept;
        kept = item;
    }
}

int main(void) {
    fill();
    scrub();
    return SUCCESS();
}
