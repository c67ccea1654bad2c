// build: cc -g -O1
// build static: cc -g -O1 -static
// peer static: does not replace the allocator of a static program
// What the kernel writes is defined, as far as it has written.
#define _GNU_SOURCE
#include "../guest.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

static volatile int sink;
static void __attribute__((noinline)) look(const char *p) {
    if (*p == 1) sink++; //~ UninitCondition 0
}

int main(void) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    CHECK(write(ends[1], "\001\002\003\004", 4) == 4);
    char *buffer = malloc(64);
    CHECK(read(ends[0], buffer, 64) == 4);
    for (int i = 0; i < 4; i++) CHECK(buffer[i] == i + 1);
    look(buffer + 3);
    look(buffer + 4);
    char *parts = malloc(8);
    struct iovec list[2] = {{parts, 2}, {parts + 4, 2}};
    CHECK(write(ends[1], "abcd", 4) == 4 && readv(ends[0], list, 2) == 4);
    CHECK(parts[0] == 'a' && parts[5] == 'd');
    struct stat *status = malloc(sizeof *status);
    CHECK(stat("/", status) == 0 && S_ISDIR(status->st_mode));
    struct timespec *now = malloc(sizeof *now);
    CHECK(clock_gettime(CLOCK_MONOTONIC, now) == 0 && now->tv_sec >= 0);
    struct utsname *name = malloc(sizeof *name);
    CHECK(uname(name) == 0 && name->sysname[0] == 'L');
    struct pollfd *wanted = malloc(sizeof *wanted);
    wanted->fd = ends[1], wanted->events = POLLOUT;
    CHECK(poll(wanted, 1, 0) == 1 && wanted->revents == POLLOUT);
    free(buffer), free(parts), free(status), free(now), free(name), free(wanted);
    return SUCCESS();
}
