// build: cc -O0
// ends: signal 11
// A handler that overflows the alternate stack kills the program, as the kernel does when the frame does not fit.
#define _GNU_SOURCE
#include "../guest.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

static int depth;

static void handler(int signal) {
    volatile char frame[2000];
    frame[0] = (char)depth++;
    raise(signal);
}

int main(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    char *area = mmap(NULL, 5 * 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED && mprotect(area + 65536, 65536, PROT_READ | PROT_WRITE) == 0);
    stack_t stack = {.ss_sp = area + 65536, .ss_size = 65536};
    CHECK(sigaltstack(&stack, NULL) == 0);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaction(SIGUSR1, &action, NULL);
    puts("going down");
    fflush(stdout);
    raise(SIGUSR1);
    return 0;
}
