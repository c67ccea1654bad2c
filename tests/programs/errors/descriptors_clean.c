// build: cc -g -O0 -w
// peer: does not run what is named /proc/self/exe
// record: --track-fds=yes
// Sound uses of descriptors: stdio, directories, interrupted calls, numbers used again by other threads, exec.
#define _GNU_SOURCE
#include "../guest.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile int opened_by_handler = -1;

static void handler(int signal) {
    opened_by_handler = open("/dev/null", O_RDONLY);
}

static void *churn(void *unused) {
    for (int i = 0; i < 2000; i++) {
        int fd = open("/dev/null", O_RDWR);
        CHECK(fd >= 0 && write(fd, "x", 1) == 1);
        CHECK(close(fd) == 0);
    }
    return NULL;
}

// With a table of descriptors of its own.
static void *apart(void *fd) {
    CHECK(unshare(CLONE_FILES) == 0);
    CHECK(close((long)fd) == 0);
    return NULL;
}

int main(int count, char **arguments) {
    if (count > 1) {
        // What close-on-exec closed is not this program's, and what it did not is.
        int kept = atoi(arguments[1]);
        CHECK(write(kept, "x", 1) == 1 && close(kept) == 0);
        puts("EXIT-SUCCESS");
        return 0;
    }
    FILE *file = fopen("/dev/null", "r");
    fclose(file);
    DIR *directory = opendir("/proc/self/fd");
    CHECK(readdir(directory) != NULL);
    closedir(directory);

    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);

    // A read that a signal interrupts, whose handler opens.
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGALRM, &action, NULL);
    int ends[2];
    CHECK(pipe(ends) == 0);
    struct itimerval;
    alarm(1);
    char byte;
    CHECK(read(ends[0], &byte, 1) == -1 && errno == EINTR);
    CHECK(opened_by_handler >= 0 && close(opened_by_handler) == 0);
    // The same, and the call is made again.
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    pid_t child = fork();
    if (child == 0) {
        usleep(1500000);
        CHECK(write(ends[1], "x", 1) == 1);
        close(ends[0]), close(ends[1]);
        _exit(0);
    }
    alarm(1);
    CHECK(read(ends[0], &byte, 1) == 1);
    CHECK(close(opened_by_handler) == 0);
    CHECK(waitpid(child, NULL, 0) == child);
    close(ends[0]), close(ends[1]);

    long shared = open("/dev/null", O_WRONLY);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, apart, (void *)shared) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(write(shared, "x", 1) == 1 && close(shared) == 0);

    // A loop over all numbers, as daemons have it, by the call that is meant for it.
    CHECK(close_range(200, ~0u, 0) == 0);
    int kept = open("/dev/null", O_WRONLY), gone = open("/dev/null", O_WRONLY | O_CLOEXEC);
    char number[16];
    snprintf(number, sizeof number, "%d", kept);
    execl("/proc/self/exe", "again", number, NULL);
    return 1;
}
