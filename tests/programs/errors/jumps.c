// build: cc -g -O0 -w
// build fast: cc -g -O2 -w
// peer: finds callers of its caller, by frame pointers
// build static: cc -g -O1 -w -static
// Jumps, calls and returns to where nothing is; the program's handler goes on behind each.
#include "../guest.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static sigjmp_buf behind;
static volatile int caught;
static void *volatile faulted;

static void handler(int signal, siginfo_t *info, void *context) {
    caught++;
    faulted = info->si_addr;
    siglongjmp(behind, 1);
}

typedef void function(void);

// A jump and a return to the address that they are given.
void jump_to(void *), return_to(void *);
asm("jump_to: jmp *%rdi\n"
    "return_to: push %rdi\n"
    "ret");

static void __attribute__((noinline)) through(function *volatile pointer) {
    pointer(); //~ InvalidJump 0
    caught += 100;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);

    if (!sigsetjmp(behind, 1)) through(NULL);
    CHECK(caught == 1 && faulted == NULL);
    if (!sigsetjmp(behind, 1)) through((function *)0x123456780);
    CHECK(caught == 2 && faulted == (void *)0x123456780);

    // Code that has gone.
    unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    code[0] = 0xc3;
    ((function *)code)();
    munmap(code, 4096);
    if (!sigsetjmp(behind, 1)) through((function *)code);
    CHECK(caught == 3 && faulted == code);

    // What is no call belongs to whoever called the function that it is in.
    if (!sigsetjmp(behind, 1)) jump_to((void *)16); //~ InvalidJump 0
    CHECK(caught == 4 && faulted == (void *)16);
    if (!sigsetjmp(behind, 1)) return_to((void *)17); //~ InvalidJump 0
    CHECK(caught == 5 && faulted == (void *)17);

    // Memory that is no code.
    char local[16];
    void *block = malloc(16);
    if (!sigsetjmp(behind, 1)) jump_to(local); //~ InvalidJump 0
    CHECK(caught == 6 && faulted == local);
    if (!sigsetjmp(behind, 1)) jump_to(block); //~ InvalidJump 0
    CHECK(caught == 7 && faulted == block);
    free(block);
    puts("EXIT-SUCCESS");
    return 0;
}
