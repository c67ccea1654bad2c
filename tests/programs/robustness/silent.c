// build: cc -O2
// build stripped: cc -O2 -static -s -DALLOCATES
// No heap event is to be seen: it does not allocate, or its allocator has no name.
#include "../guest.h"

int main(void) {
#ifdef ALLOCATES
    for (int i = 0; i < 100; i++) free(malloc(i));
#endif
    return write(1, "silent\n", 7) == 7 ? 0 : 1;
}
