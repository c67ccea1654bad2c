// build: cc -O2 {src} -o {out} -lm
// timeout: 120
// A timer storm against floating point, string functions, sorting and allocation: the results stay the same.
#define _GNU_SOURCE
#include "../guest.h"
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>

static volatile long ticks;
static volatile double noise;

static void handler(int signal) {
    (void)signal;
    // Disturbs as much state as a handler may.
    char text[64];
    memset(text, (int)ticks, sizeof text);
    noise = sqrt(noise + text[3] + 2.0) * 1.5;
    ticks++;
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t work(void) {
    uint64_t hash = 14695981039346656037u;
    double sum = 0;
    long double wide = 1;
    for (int i = 1; i < 20000; i++) {
        sum += sin(i * 0.001) * exp(-i * 1e-5);
        wide += 1.0L / i;
    }
    unsigned char bytes[8];
    memcpy(bytes, &sum, 8);
    for (int i = 0; i < 8; i++) hash = (hash ^ bytes[i]) * 1099511628211u;
    hash ^= (uint64_t)(wide * 1e15L);
    uint32_t state = 1, numbers[2000];
    for (int i = 0; i < 2000; i++) numbers[i] = state = state * 1664525 + 1013904223;
    qsort(numbers, 2000, sizeof *numbers, compare);
    for (int i = 0; i < 2000; i++) hash = (hash ^ numbers[i]) * 1099511628211u;
    char *text = malloc(1);
    size_t length = 0;
    for (int i = 0; i < 500; i++) {
        char part[32];
        int n = snprintf(part, sizeof part, "%d:%.3f,", i, i / 7.0);
        text = realloc(text, length + (size_t)n + 1);
        memcpy(text + length, part, (size_t)n + 1);
        length += (size_t)n;
    }
    for (size_t i = 0; i < strlen(text); i++) hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    free(text);
    return hash;
}

int main(void) {
    uint64_t expected = work();
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 300}, {0, 300}}, off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    for (int i = 0; i < 40 || ticks < 200; i++) CHECK(work() == expected);
    setitimer(ITIMER_REAL, &off, NULL);
    printf("%016lx\n", (unsigned long)expected);
    return SUCCESS();
}
