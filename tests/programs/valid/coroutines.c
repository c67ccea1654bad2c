// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// Valid: coroutines by ucontext on stacks of mmap, each with variables that are set only on its own way.
#include "../guest.h"
#include <sys/mman.h>
#include <ucontext.h>

enum { COUNT = 3, SIZE = 1 << 16 };
static ucontext_t scheduler, contexts[COUNT];
static int produced[COUNT], finished;

static void run(int id) {
    int local[64];
    for (int i = 0; i <= id; i++) local[i] = id * 10 + i;
    for (int i = 0; i <= id; i++) {
        produced[id] += local[i];
        swapcontext(&contexts[id], &scheduler);
    }
    finished++;
}

int main(void) {
    for (int i = 0; i < COUNT; i++) {
        void *stack = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(stack != MAP_FAILED && getcontext(&contexts[i]) == 0);
        contexts[i].uc_stack.ss_sp = stack, contexts[i].uc_stack.ss_size = SIZE;
        contexts[i].uc_link = &scheduler;
        makecontext(&contexts[i], (void (*)(void))run, 1, i);
    }
    for (int round = 0; round <= COUNT; round++)
        for (int i = 0; i < COUNT; i++)
            if (round <= i + 1) CHECK(swapcontext(&scheduler, &contexts[i]) == 0);
    CHECK(finished == COUNT && produced[0] == 0 && produced[1] == 21 && produced[2] == 63);
    return SUCCESS();
}
