// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// A ring buffer whose index wraps one too late.
#include "../guest.h"

struct ring {
    unsigned head, size;
    volatile unsigned *slots;
};

static void __attribute__((noinline)) put(struct ring *ring, unsigned value) {
    unsigned at = ring->head;
    ring->head = at >= ring->size ? 0 : at + 1;
    ring->slots[at] = value; //~ InvalidWrite 4
}

int main(void) {
    struct ring ring = {0, 12, calloc(12, sizeof(unsigned))};
    for (unsigned i = 0; i < 40; i++) put(&ring, i);
    CHECK(ring.slots[0] == 39);
    free((void *)ring.slots);
    return SUCCESS();
}
