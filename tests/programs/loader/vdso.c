// build: cc -O2
// build static: cc -O2 -static
// build musl: musl-gcc -O2 -static
// The clock a million times: it never goes back and agrees with the system call.
#define _GNU_SOURCE
#include "../guest.h"
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long now(clockid_t clock) {
    struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(void) {
    long long last = now(CLOCK_MONOTONIC);
    for (int i = 0; i < 1000000; i++) {
        long long time = now(CLOCK_MONOTONIC);
        CHECK(time >= last);
        last = time;
    }
    struct timespec raw;
    CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &raw) == 0);
    long long kernel = raw.tv_sec * 1000000000LL + raw.tv_nsec;
    CHECK(kernel >= last && kernel - last < 10000000000LL && now(CLOCK_MONOTONIC) >= kernel);
    struct timeval wall;
    CHECK(gettimeofday(&wall, NULL) == 0);
    long difference = (long)(time(NULL) - wall.tv_sec);
    CHECK(difference >= 0 && difference <= 5);
    CHECK(now(CLOCK_THREAD_CPUTIME_ID) > 0 && now(CLOCK_REALTIME_COARSE) > 0);
    unsigned cpu;
    CHECK(syscall(SYS_getcpu, &cpu, NULL, NULL) == 0);
    return SUCCESS();
}
