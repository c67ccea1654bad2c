// build: cc -O2
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

static int passed_on(void) {
    // After exec the limit is there, and holds.
    struct rlimit now;
    CHECK(getrlimit(RLIMIT_AS, &now) == 0 && now.rlim_cur == 300 << 20 && now.rlim_max == 400 << 20);
    CHECK(mmap(NULL, 310 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    CHECK(malloc(310 << 20) == NULL && errno == ENOMEM);
    void *half = malloc(150 << 20);
    CHECK(half != NULL && malloc(160 << 20) == NULL && realloc(half, 310 << 20) == NULL);
    free(half);
    half = malloc(160 << 20);
    CHECK(half != NULL);
    return 14;
}

static void data(void) {
    const size_t MIB = 1 << 20;
    limit(RLIMIT_DATA, 64 * MIB);
    char *room = mmap(NULL, 100 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(room != MAP_FAILED);
    CHECK(mprotect(room, 80 * MIB, PROT_READ | PROT_WRITE) == -1 && errno == ENOMEM);
    CHECK(mprotect(room, 20 * MIB, PROT_READ | PROT_WRITE) == 0);
    CHECK(mmap(NULL, 60 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    CHECK(mmap(NULL, 60 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    CHECK(mremap(room, 20 * MIB, 70 * MIB, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
    CHECK(sbrk(70 * MIB) == (void *)-1 && errno == ENOMEM);
    CHECK(malloc(60 * MIB) == NULL && malloc(20 * MIB) != NULL);
    CHECK(munmap(room, 100 * MIB) == 0);
    CHECK(mmap(NULL, 30 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

int main(int argc, char **argv) {
    if (argc > 1) return passed_on();
    static const int resources[] = {RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_STACK, RLIMIT_NOFILE};
    for (unsigned i = 0; i < sizeof resources / sizeof *resources; i++) {
        struct rlimit now, other;
        CHECK(getrlimit(resources[i], &now) == 0 && prlimit(getpid(), resources[i], NULL, &other) == 0);
        CHECK(now.rlim_cur == other.rlim_cur && now.rlim_max == other.rlim_max);
        printf("%d: %lx %lx\n", resources[i], (unsigned long)now.rlim_cur, (unsigned long)now.rlim_max);
    }
    fflush(stdout);
    for (int way = 0; way < 6; way++) {
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
            case 4: {
                struct rlimit both = {300 << 20, 400 << 20};
                CHECK(setrlimit(RLIMIT_AS, &both) == 0);
                pid_t grandchild = vfork();
                if (grandchild == 0) {
                    execl("/proc/self/exe", argv[0], "passed on", NULL);
                    _exit(97);
                }
                int ending;
                CHECK(waitpid(grandchild, &ending, 0) == grandchild);
                _exit(WIFEXITED(ending) ? WEXITSTATUS(ending) : 96);
            }
            case 5:
                data();
                _exit(15);
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
