// build: cc -g -O1
// errors: ignored
// A loop whose instructions are functions of their own, so that the count of each can be told. The handler of a timer ends the
// turn of the loop that it interrupts: it goes on with the first instruction. On standard error: how many turns are made to
// their end, and in front of which instruction how many were left.
#define _GNU_SOURCE
#include "../guest.h"
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>

#define TURNS 30000000
#define COUNT 12

#define AT(number, text) ".type at" #number ", @function\nat" #number ": " text "\n.size at" #number ", .-at" #number "\n"

void loop(long turns, long *memory);
extern char at0[], at1[], at2[], at3[], at4[], at5[], at6[], at7[], at8[], at9[], at10[], at11[];
asm(".text\n"
    ".type loop, @function\n"
    "loop: xor %eax, %eax\n"
    "  xor %ecx, %ecx\n"
    ".size loop, .-loop\n"
    AT(0, "add $3, %rax")
    AT(1, "mov %rax, (%rsi)")
    AT(2, "xor $5, %rax")
    AT(3, "mov (%rsi), %rdx")
    AT(4, "cmp $-1, %rdx")
    AT(5, "je at11")
    AT(6, "imul $7, %rdx, %rdx")
    AT(7, "mov %rdx, 8(%rsi)")
    AT(8, "incq 16(%rsi)")
    AT(9, "lea 1(%rdx,%rax), %rax")
    AT(10, "dec %rdi")
    AT(11, "jnz at0")
    "  ret\n");

static char *const places[COUNT] = {at0, at1, at2, at3, at4, at5, at6, at7, at8, at9, at10, at11};
static long left[COUNT];

static void handles(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    greg_t *pc = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    // Behind the last decrement a turn is at its end.
    for (int i = 0; i < COUNT - 1; i++) {
        if ((char *)*pc == places[i]) {
            left[i]++;
            *pc = (greg_t)at0;
        }
    }
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handles, .sa_flags = SA_RESTART | SA_SIGINFO};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    long memory[3] = {0, 0, 0};
    loop(TURNS, memory);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    fprintf(stderr, "%d", TURNS);
    for (int i = 0; i < COUNT; i++) fprintf(stderr, " %ld", left[i]);
    fprintf(stderr, "\n");
    return SUCCESS();
}
