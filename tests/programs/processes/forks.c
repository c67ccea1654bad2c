// build: cc -O2
// build static: cc -O2 -static
// build musl: musl-gcc -O2 -static
// fork: what is copied, what is shared, return values, many children, chains of children.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int data = 1;

static int chain(int depth) {
    if (depth == 0) return 1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) _exit(chain(depth - 1) + 1);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

int main(void) {
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int *heap = malloc(4), status;
    *heap = *private = 5;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        CHECK(getppid() == parent && getpid() != parent);
        data = *heap = *private = 7;
        *shared = 9;
        _exit(3);
    }
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
    printf("%d %d %d %d\n", data, *heap, *private, *shared);
    for (int i = 0; i < 200; i++) {
        child = fork();
        if (child == 0) {
            free(malloc((size_t)i * 10));
            __atomic_fetch_add(shared, i, __ATOMIC_SEQ_CST);
            _exit(i & 0x7f);
        }
        if (i % 10) continue;
        CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == (i & 0x7f));
    }
    int count = 0;
    while (wait(NULL) > 0) count++;
    CHECK(errno == ECHILD);
    printf("%d %d\n", count, *shared);
    printf("chain %d\n", chain(15));
    // Unflushed output is duplicated by fork and written by exit in both.
    printf("twice ");
    child = fork();
    if (child == 0) exit(0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    puts("");
    return SUCCESS();
}
