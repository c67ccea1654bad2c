// build: cc -O2
// build static: cc -O2 -static
// build nonpie: cc -O2 -no-pie
// The program break: growing, shrinking, zeroed again, one piece, and where it may not go.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static uintptr_t raw_brk(uintptr_t to) { return (uintptr_t)syscall(SYS_brk, to); }

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    uintptr_t start = raw_brk(0);
    CHECK(start != 0 && raw_brk(1) == start);
    uintptr_t aligned = (start + 4095) & ~(uintptr_t)4095;
    CHECK(raw_brk(aligned + 20 * 4096) == aligned + 20 * 4096);
    unsigned char *p = (unsigned char *)aligned;
    for (int i = 0; i < 20 * 4096; i++) CHECK(p[i] == 0);
    memset(p, 0x5a, 20 * 4096);
    CHECK(raw_brk(aligned + 4096) == aligned + 4096);
    CHECK(raw_brk(aligned + 8192) == aligned + 8192);
    for (int i = 0; i < 8192; i++) CHECK(p[i] == (i < 4096 ? 0x5a : 0));
    CHECK(raw_brk(aligned + 5000) == aligned + 5000);
    CHECK(raw_brk(0) == aligned + 5000);
    errno = 0;
    CHECK(sbrk((intptr_t)1 << 46) == (void *)-1 && errno == ENOMEM);
    CHECK(raw_brk(0) == aligned + 5000);
    CHECK(sbrk(1 << 26) != (void *)-1);
    p[1 << 26] = 1;
    CHECK(raw_brk(start) == start && raw_brk(0) == start);
    return SUCCESS();
}
