// build: cc -g -O1 -fno-plt -pthread
// Processes and threads that end in different ways, and what each executes of one function. Beside each call: in which process
// of the recording, and with how many turns.
#include "../guest.h"
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

// 2 instructions at each turn, and 1.
void spin(long turns);
asm(".text\n"
    ".type spin, @function\n"
    "spin:\n"
    "1: dec %rdi\n"
    "  jnz 1b\n"
    "  ret\n"
    ".size spin, .-spin\n");

static sem_t ready;

static void *waits(void *turns) {
    spin((long)turns);
    sem_post(&ready);
    pause();
    return NULL;
}

static void *leaves(void *turns) {
    spin((long)turns);
    pthread_exit(NULL);
}

static void *is_cancelled(void *turns) {
    spin((long)turns);
    sem_post(&ready);
    for (;;) pause();
    return turns;
}

static void handles(int number) {
    spin(number * 1000);
    _exit(0);
}

static void ended(pid_t child) {
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static pid_t starts(void) {
    fflush(stdout);
    return fork();
}

int main(int argc, char **argv) {
    CHECK(sem_init(&ready, 0, 0) == 0);
    if (argc == 2) {
        spin(70); //~ 6 70
        return 0;
    }
    pthread_t thread;
    spin(1000); //~ 1 1000
    pid_t child = starts();
    if (child == 0) {
        spin(20000); //~ 2 20000
        pid_t grandchild = starts();
        if (grandchild == 0) {
            spin(300000); //~ 3 300000
            _exit(0);
        }
        ended(grandchild);
        spin(7); //~ 2 7
        exit(0);
    }
    ended(child);
    spin(1001); //~ 1 1001
    child = starts();
    if (child == 0) {
        // Ends while a thread waits, which has executed something.
        CHECK(pthread_create(&thread, NULL, waits, (void *)4000L) == 0); //~ 4 4000
        CHECK(sem_wait(&ready) == 0);
        spin(500); //~ 4 500
        exit(0);
    }
    ended(child);
    child = starts();
    if (child == 0) {
        // Ends in a handler.
        CHECK(signal(SIGUSR1, handles) != SIG_ERR);
        spin(33); //~ 5 33
        raise(SIGUSR1); //~ 5 10000
    }
    ended(child);
    child = starts();
    if (child == 0) {
        spin(600); //~ 6 600
        execl("/proc/self/exe", argv[0], "again", NULL);
        _exit(1);
    }
    ended(child);
    child = vfork();
    if (child == 0) {
        spin(8000); //~ 7 8000
        _exit(0);
    }
    ended(child);
    CHECK(pthread_create(&thread, NULL, leaves, (void *)222L) == 0); //~ 1 222
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, is_cancelled, (void *)333L) == 0); //~ 1 333
    CHECK(sem_wait(&ready) == 0 && pthread_cancel(thread) == 0 && pthread_join(thread, NULL) == 0);
    return SUCCESS();
}
