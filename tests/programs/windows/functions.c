// build: cc -g -O2 -fno-plt -pthread -Wl,-z,now
// build frames: cc -g -O1 -fno-plt -fno-omit-frame-pointer -fno-optimize-sibling-calls -pthread
// build static: cc -g -O2 -static -pthread
// build unoptimized: cc -g -O0 -fno-plt -pthread
// Functions that switch collection, in all ways to enter and to leave them. What each costs, callgrind says.
#include "../guest.h"
#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>

#define SEPARATE __attribute__((noinline, noclone))

static volatile unsigned sink;
static jmp_buf back;

SEPARATE static void work(int turns) {
    for (int i = 0; i < turns; i++) sink += 1;
}

SEPARATE static int plain(int x) {
    work(10);
    return x + 1;
}

// Active until the outermost activation is left.
SEPARATE static int recursive(int depth) {
    work(3);
    int below = depth ? recursive(depth - 1) : 0;
    work(2);
    return below + 1;
}

SEPARATE static int inner(int x) {
    work(7);
    return x + sink;
}

SEPARATE static int outer(int x) {
    work(5);
    int sum = inner(x);
    work(5);
    return sum + inner(x);
}

// Goes on in another function, which returns for it.
SEPARATE static int tail(int x) {
    work(4);
    return inner(x + 1);
}

// The first instruction is that of a loop.
SEPARATE static void loops(int turns) {
    do {
        sink++;
    } while (--turns);
}

SEPARATE static int jumps(int depth) {
    work(6);
    if (depth == 0 && sink > 0) longjmp(back, 1);
    jumps(depth - 1);
    return sink++;
}

SEPARATE static int grows(int bytes) {
    volatile char *more = alloca((unsigned)bytes);
    more[bytes - 1] = 1;
    work(8);
    return more[bytes - 1];
}

static int (*volatile pointer)(int) = plain;

static void *thread(void *how) {
    for (int i = 0; i < 20; i++) {
        work(20);
        if (how) plain(i);
    }
    return NULL;
}

int main(void) {
    work(1000);
    for (int i = 0; i < 30; i++) plain(i);
    CHECK(pointer(1) == 2);
    work(1000);
    CHECK(recursive(5) == 6);
    work(1000);
    for (int i = 0; i < 10; i++) outer(i);
    work(1000);
    tail(3);
    loops(50);
    work(1000);
    for (int i = 0; i < 5; i++) {
        if (setjmp(back) == 0) jumps(i);
        work(100);
    }
    CHECK(grows(100) == 1);
    work(1000);
    pthread_t threads[2];
    for (unsigned long i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, thread, (void *)i) == 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    return SUCCESS();
}
