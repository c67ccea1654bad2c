// build: cc -O2
// Code at the edges: an instruction across two pages, across a page whose end is missing, at the end of a mapping.
#include "../guest.h"
#include "jit.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static sigjmp_buf back;
static unsigned char *volatile address;
static void handler(int signal, siginfo_t *info, void *context) {
    (void)context;
    address = info->si_addr;
    siglongjmp(back, signal);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    unsigned char *code = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(code != MAP_FAILED);
    for (int i = 0; i < 8; i++) {
        emit(code + 4096 - i, (uint32_t)(i + 70));
        CHECK(call(code + 4096 - i) == i + 70);
    }
    CHECK(munmap(code + 8192, 4096) == 0);
    emit(code + 8192 - 6, 123);
    CHECK(call(code + 8192 - 6) == 123);
    // mov eax, imm32 of which only three bytes are there: the fetch faults at the first missing byte.
    code[8192 - 3] = 0xb8;
    if (sigsetjmp(back, 1) == 0) {
        call(code + 8192 - 3);
        CHECK(!"ran");
    }
    CHECK(address == code + 8192);
    // Falling off the end after a complete instruction.
    code[8192 - 1] = 0x90;
    if (sigsetjmp(back, 1) == 0) {
        call(code + 8192 - 1);
        CHECK(!"ran");
    }
    CHECK(address == code + 8192);
    // A page of code that turns unreadable but stays executable where the processor allows it.
    emit(code, 9);
    CHECK(mprotect(code, 4096, PROT_EXEC) == 0 && call(code) == 9);
    return SUCCESS();
}
