// build: cc -O2
// Time passes: sleeping takes as long as asked, processor time grows with work, usage is counted, rdtsc rises.
#define _GNU_SOURCE
#include "../guest.h"
#include <sys/resource.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

static double now(clockid_t clock) {
    struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(void) {
    double start = now(CLOCK_MONOTONIC);
    usleep(30000);
    double slept = now(CLOCK_MONOTONIC) - start;
    CHECK(slept >= 0.03 && slept < 10);
    double cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    unsigned long long tsc = __rdtsc();
    for (volatile int i = 0; i < 20000000; i++) {
    }
    CHECK(now(CLOCK_PROCESS_CPUTIME_ID) > cpu && __rdtsc() > tsc);
    unsigned aux;
    CHECK(__rdtscp(&aux) > tsc);
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > 0 && usage.ru_utime.tv_usec + usage.ru_utime.tv_sec > 0);
    struct tms process_times;
    CHECK(times(&process_times) != (clock_t)-1 && clock() > 0);
    time_t wall = time(NULL);
    struct tm *fields = gmtime(&wall);
    CHECK(fields->tm_year > 120);
    CHECK(nanosleep(&(struct timespec){0, 1000000}, NULL) == 0);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){1, 0}, NULL) == 0);
    return SUCCESS();
}
