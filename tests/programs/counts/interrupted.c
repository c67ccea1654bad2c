// build: cc -g -O1 -fno-plt -pthread
// errors: ignored
// Signals of a timer and of another thread hit a loop of known length wherever they come, in the middle of its blocks and
// at their ends. The numbers on standard error are turns of the loop and calls of the handler.
#include "../guest.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#define TURNS 1000000
#define ROUNDS 40

// 4 instructions at each call, and 15 at each turn.
void busy(long turns, long *memory);
// 2 instructions.
void handles(int number);

asm(".text\n"
    ".type busy, @function\n"
    "busy:\n"
    "  xor %eax, %eax\n"
    "  mov $1, %edx\n"
    "  nop\n"
    "1: add %rdx, %rax\n"
    "  mov %rax, (%rsi)\n"
    "  imul $3, %rdx, %rdx\n"
    "  mov (%rsi), %rcx\n"
    "  xor %rcx, %rdx\n"
    "  test $1, %dil\n"
    "  jz 2f\n"
    "  lea 1(%rax), %rax\n"
    "  jmp 3f\n"
    "2: lea 2(%rax), %rax\n"
    "  nop\n"
    "3: addq $1, 8(%rsi)\n"
    "  mov 8(%rsi), %rcx\n"
    "  lea (%rcx,%rax), %rax\n"
    "  or $1, %rdx\n"
    "  dec %rdi\n"
    "  jnz 1b\n"
    "  ret\n"
    ".size busy, .-busy\n"
    ".type handles, @function\n"
    "handles:\n"
    "  lock incq handled(%rip)\n"
    "  ret\n"
    ".size handles, .-handles\n");

__attribute__((used)) static long handled;
static volatile int stop;

static void *sends(void *victim) {
    struct timespec pause = {0, 20000};
    while (!stop) {
        pthread_kill(*(pthread_t *)victim, SIGUSR1);
        nanosleep(&pause, NULL);
    }
    return victim;
}

int main(void) {
    struct sigaction action = {.sa_handler = handles, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    pthread_t self = pthread_self(), sender;
    CHECK(pthread_create(&sender, NULL, sends, &self) == 0);
    struct itimerval often = {{0, 70}, {0, 70}}, never = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    long memory[2] = {0, 0};
    for (int i = 0; i < ROUNDS; i++) busy(TURNS, memory);
    CHECK(memory[1] == (long)TURNS * ROUNDS);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    stop = 1;
    CHECK(pthread_join(sender, NULL) == 0);
    // What is still on its way comes at a system call.
    sigset_t set;
    CHECK(sigpending(&set) == 0);
    CHECK(handled > 100);
    fprintf(stderr, "%ld %d %ld\n", (long)TURNS * ROUNDS, ROUNDS, handled);
    return SUCCESS();
}
