// build: cc -O2 -pthread
// exec from another thread, without arguments, many times in a row, with signals ignored, blocked and pending.
#define _GNU_SOURCE
#include "../guest.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char *program;

static void *from_thread(void *argument) {
    execl(program, program, argument, (char *)NULL);
    CHECK(!"exec came back");
}
static void *spin(void *argument) {
    for (volatile unsigned long i = 0;; i++) {
    }
    return argument;
}

static void stage(const char *name, int argc) {
    if (strcmp(name, "thread") == 0) {
        CHECK(getpid() == gettid());
    } else if (strcmp(name, "signals") == 0) {
        sigset_t mask, pending;
        sigprocmask(SIG_BLOCK, NULL, &mask);
        sigpending(&pending);
        struct sigaction usr2, hup;
        sigaction(SIGUSR2, NULL, &usr2);
        sigaction(SIGHUP, NULL, &hup);
        printf("blocked %d pending %d ignored %d default %d\n", sigismember(&mask, SIGUSR1), sigismember(&pending, SIGUSR1),
               usr2.sa_handler == SIG_IGN, hup.sa_handler == SIG_DFL);
    }
    printf("%s %d\n", name, argc);
    fflush(stdout);
    _exit(0);
}

static void handler(int signal) { (void)signal; }

int main(int argc, char **argv) {
    if (argc == 0) stage("no arguments", argc);
    if (argc == 1 && argv[0][0] == 0) stage("empty argument", argc);
    if (argc == 3 && strcmp(argv[1], "again") == 0) {
        int left = atoi(argv[2]);
        if (left == 0) stage("again", argc);
        char number[16];
        snprintf(number, sizeof number, "%d", left - 1);
        execl(argv[0], argv[0], "again", number, (char *)NULL);
        CHECK(!"exec came back");
    }
    if (argc > 1) stage(argv[1], argc);
    program = argv[0];
    for (int i = 0; i < 5; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            char *none[] = {NULL}, *empty[] = {"", NULL};
            pthread_t thread;
            switch (i) {
            case 0:
                for (int k = 0; k < 3; k++) pthread_create(&thread, NULL, spin, NULL);
                pthread_create(&thread, NULL, from_thread, "thread");
                for (;;) pause();
            case 1: execve(program, none, none); break;
            case 2: execve(program, empty, none); break;
            case 3: execl(program, program, "again", "30", (char *)NULL); break;
            case 4: {
                sigset_t set;
                sigemptyset(&set);
                sigaddset(&set, SIGUSR1);
                sigprocmask(SIG_BLOCK, &set, NULL);
                signal(SIGUSR2, SIG_IGN);
                signal(SIGHUP, handler);
                raise(SIGUSR1);
                execl(program, program, "signals", (char *)NULL);
            }
            }
            _exit(99);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        printf("%d: %d\n", i, status);
    }
    return SUCCESS();
}
