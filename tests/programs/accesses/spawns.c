// build: cc -g -O1 -fno-plt
// errors: ignored
// Starts children that share its memory until they execute another program, between loops whose accesses are known.
#include "../guest.h"
#include <spawn.h>
#include <sys/wait.h>

#define CHILDREN 5
#define TURNS 1000

// 1 read and 1 write a turn, and 1 read at each call.
void touches(long turns, long *memory);

asm(".text\n"
    ".type touches, @function\n"
    "touches:\n"
    "1: mov (%rsi), %rax\n"
    "  mov %rax, 8(%rsi)\n"
    "  dec %rdi\n"
    "  jnz 1b\n"
    "  ret\n"
    ".size touches, .-touches\n");

int main(void) {
    static long memory[2];
    for (int i = 0; i < CHILDREN; i++) {
        touches(TURNS, memory);
        char *argv[] = {"true", NULL}, *environment[] = {NULL};
        pid_t child;
        int status;
        if (posix_spawn(&child, "/bin/true", NULL, NULL, argv, environment)) return 1;
        if (waitpid(child, &status, 0) != child || status) return 2;
    }
    return SUCCESS();
}
