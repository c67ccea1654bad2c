// build: cc -g -O0 -w
// build fast: cc -g -O2 -w
// build static: cc -g -O1 -w -static
// record: --track-fds=yes
// Descriptors that are not closed, closed twice, never open, used after the close; what is sound beside them.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int __attribute__((noinline)) closed(int fd) {
    CHECK(close(fd) == 0);
    return fd;
}

static void *in_thread(void *fd) {
    return (void *)(long)open("/dev/zero", O_RDONLY); //~ FdNotClosed 0
}

int main(void) {
    char byte = 0;
    int leaked = open("/dev/null", O_RDWR); //~ FdNotClosed 0
    CHECK(write(leaked, "x", 1) == 1);

    int twice = open("/dev/null", O_RDONLY);
    closed(twice);
    CHECK(close(twice) == -1 && errno == EBADF); //~ FdBadClose 0
    CHECK(read(twice, &byte, 1) == -1 && errno == EBADF); //~ FdBadUse 0
    CHECK(close(7777) == -1); //~ FdBadClose 0
    CHECK(write(-1, "x", 1) == -1); //~ FdBadUse 0
    CHECK(openat(twice, "nothing", O_RDONLY) == -1); //~ FdBadUse 0
    CHECK(dup(twice) == -1); //~ FdBadUse 0
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, twice, 0) == MAP_FAILED); //~ FdBadUse 0

    // The number is used again, and all is well.
    int again = open("/dev/zero", O_RDONLY);
    CHECK(again == twice && read(again, &byte, 1) == 1);
    // Open for reading only: the kernel says EBADF, too.
    CHECK(write(again, "x", 1) == -1 && errno == EBADF);
    closed(again);

    // Whoever asks whether it is open, or names no descriptor at all, uses none.
    CHECK(fcntl(again, F_GETFD) == -1 && errno == EBADF);
    int absolute = openat(again, "/dev/null", O_RDONLY);
    CHECK(absolute == again);
    closed(absolute);
    struct stat stat;
    CHECK(fstatat(AT_FDCWD, "/dev", &stat, 0) == 0);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);

    int ends[2];
    CHECK(pipe(ends) == 0); //~ FdNotClosed 0
    closed(ends[0]);

    int copy = dup(leaked);
    closed(copy);
    CHECK(dup2(leaked, copy) == copy); //~ FdNotClosed 0
    int high = fcntl(leaked, F_DUPFD_CLOEXEC, 100);
    CHECK(high == 100);
    // What dup2 closes is closed.
    CHECK(dup2(leaked, high) == high);
    closed(high);
    CHECK(close(high) == -1); //~ FdBadClose 0

    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, in_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);

    // A child closes its own.
    pid_t child = fork();
    if (child == 0) {
        for (int fd = 3; fd < 60; fd++)
            if (fcntl(fd, F_GETFD) != -1) close(fd);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    child = vfork();
    if (child == 0) {
        close(leaked);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(write(leaked, "x", 1) == 1);
    puts("EXIT-SUCCESS");
    return 0;
}
