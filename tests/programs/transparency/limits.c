// build: cc -O2
// known: limits of address space and data are remembered but not enforced
// trace: partial
// Resource limits are shown as they were set and hold for the program: address space, data, stack, file size.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void limit(int resource, rlim_t value) {
    struct rlimit limits = {value, value}, now;
    CHECK(setrlimit(resource, &limits) == 0 && getrlimit(resource, &now) == 0 && now.rlim_cur == value && now.rlim_max == value);
}

int main(void) {
    static const int resources[] = {RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_STACK, RLIMIT_NOFILE};
    for (unsigned i = 0; i < sizeof resources / sizeof *resources; i++) {
        struct rlimit now, other;
        CHECK(getrlimit(resources[i], &now) == 0 && prlimit(getpid(), resources[i], NULL, &other) == 0);
        CHECK(now.rlim_cur == other.rlim_cur && now.rlim_max == other.rlim_max);
        printf("%d: %lx %lx\n", resources[i], (unsigned long)now.rlim_cur, (unsigned long)now.rlim_max);
    }
    fflush(stdout);
    for (int way = 0; way < 4; way++) {
        pid_t child = fork();
        if (child == 0) {
            switch (way) {
            case 0:
                limit(RLIMIT_AS, 256 << 20);
                CHECK(mmap(NULL, 300 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
                CHECK(malloc(300 << 20) == NULL && malloc(1 << 20) != NULL);
                _exit(10);
            case 1: {
                limit(RLIMIT_FSIZE, 1000);
                signal(SIGXFSZ, SIG_IGN);
                int fd = open("file", O_WRONLY | O_CREAT, 0600);
                char text[2000] = {0};
                CHECK(write(fd, text, 2000) == 1000 && write(fd, text, 1) == -1 && errno == EFBIG);
                signal(SIGXFSZ, SIG_DFL);
                if (write(fd, text, 1) == 1) _exit(98);
                _exit(99);
            }
            case 2:
                limit(RLIMIT_CPU, 1);
                signal(SIGXCPU, SIG_DFL);
                for (volatile unsigned long i = 0;; i++) {
                }
            case 3:
                limit(RLIMIT_CORE, 0);
                limit(RLIMIT_NPROC, 100000);
                _exit(13);
            }
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        printf("%d: %s %d\n", way, WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        fflush(stdout);
    }
    return SUCCESS();
}
