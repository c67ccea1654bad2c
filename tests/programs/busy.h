// Threads that do one thing until they are told to stop.
#include <stdlib.h>
static volatile int stop;
static void *calculates(void *unused) {
    while (!stop)
        for (volatile int i = 0; i < 1000; i++) {
        }
    return unused;
}
static void *allocates(void *unused) {
    while (!stop) {
        void *volatile p = malloc(64);
        free(p);
    }
    return unused;
}
