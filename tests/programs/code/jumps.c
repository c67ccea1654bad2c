// build: cc -O2 -pthread
// build static: cc -O2 -pthread -static
// build musl: musl-gcc -O2 -static
// setjmp and longjmp up and across many frames, in several threads at once.
#include "../guest.h"
#include <pthread.h>
#include <setjmp.h>

static __attribute__((noinline)) int descend(jmp_buf *to, int depth, int value) {
    volatile char pad[50];
    pad[depth % 50] = 1;
    if (depth == 0) longjmp(*to, value);
    return descend(to, depth - 1, value) + pad[0];
}

static void *body(void *argument) {
    long sum = 0;
    for (volatile int i = 1; i <= 20000; i++) {
        jmp_buf here;
        int value = setjmp(here);
        if (value == 0) descend(&here, i % 60, i);
        CHECK(value == i);
        sum += value;
    }
    CHECK(sum == 200010000);
    return argument;
}

int main(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
    body(NULL);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    jmp_buf zero;
    volatile int rounds = 0;
    int value = setjmp(zero);
    CHECK(rounds++ == 0 ? value == 0 : value == 1);
    if (rounds == 1) longjmp(zero, 0);
    return SUCCESS();
}
