// build: cc -g -O2 -pthread
// build static: cc -g -O1 -static -pthread
// What a program says of its own collection: beside the calls stands what they cost, by part and in all.
#include "../client_requests.h"
#include "../guest.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

// work(n): 3 n + 2 instructions.
void work(long turns);
__asm__(".text\n.globl work\n.type work, @function\nwork:\n"
        "  mov %rdi, %rcx\n"
        "1: lea 1(%rax), %rax\n"
        "  dec %rcx\n"
        "  jnz 1b\n"
        "  ret\n"
        ".size work, .-work\n");

#define ASK(request) REQUEST(0, request, 0)

static int started[2], stopped[2];

static void say(int *to) {
    char byte = 0;
    CHECK(write(to[1], &byte, 1) == 1);
}

static void hear(int *from) {
    char byte;
    CHECK(read(from[0], &byte, 1) == 1);
}

// Each thread has a state of its own, and that of the process besides.
static void *thread(void *unused) {
    work(10000);
    ASK(TOGGLE_COLLECT);
    work(100); //~ PART third 302
    say(started);
    hear(stopped);
    work(10000);
    return unused;
}

static void handler(int signal) {
    (void)signal;
    work(20);
}

int main(void) {
    work(10000);
    ASK(TOGGLE_COLLECT);
    work(10); //~ PART 1 32
    ASK(TOGGLE_COLLECT);
    work(10000);
    ASK(TOGGLE_COLLECT);
    work(11); //~ PART 1 35
    ASK(DUMP_STATS);

    work(12); //~ PART second 38
    ASK(STOP_INSTRUMENTATION);
    work(10000);
    ASK(TOGGLE_COLLECT);
    ASK(START_INSTRUMENTATION);
    work(10000);
    ASK(TOGGLE_COLLECT);
    work(13); //~ PART second 41
    CHECK(REQUEST(0, DUMP_STATS_AT, ADDRESS("second")) == 0);

    // A handler belongs to what it interrupts.
    CHECK(signal(SIGUSR1, handler) != SIG_ERR);
    raise(SIGUSR1); //~ PART third 62
    pthread_t other;
    CHECK(pipe(started) == 0 && pipe(stopped) == 0);
    CHECK(pthread_create(&other, NULL, thread, NULL) == 0);
    hear(started);
    ASK(STOP_INSTRUMENTATION);
    say(stopped);
    CHECK(pthread_join(other, NULL) == 0);
    ASK(START_INSTRUMENTATION);
    ASK(START_INSTRUMENTATION);
    CHECK(REQUEST(0, DUMP_STATS_AT, ADDRESS("third")) == 0);

    work(10000);
    CHECK(pthread_create(&other, NULL, thread, NULL) == 0);
    hear(started);
    say(stopped);
    CHECK(pthread_join(other, NULL) == 0);
    ASK(ZERO_STATS);

    work(14); //~ PART 4 44
    pid_t child = fork();
    CHECK(child >= 0);
    // A child goes on in the window, in a first part of its own.
    if (child == 0) {
        work(15); //~ CHILD 47
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    ASK(TOGGLE_COLLECT);
    work(10000);
    return SUCCESS();
}
