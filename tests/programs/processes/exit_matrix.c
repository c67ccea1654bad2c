// build: cc -O2 -pthread
// build static: cc -O2 -pthread -static
// trace: partial
// All ways to end: the status that the parent sees, and what runs on the way.
#define _GNU_SOURCE
#include "../guest.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void at_exit(void) { printf("at exit "); }
static void *exits(void *argument) { exit((int)(long)argument); }
static void *group_exits(void *argument) {
    fflush(stdout);
    syscall(SYS_exit_group, argument);
    return NULL;
}
static void *thread_ends(void *argument) {
    usleep(1000);
    return argument;
}
static void in_handler(int signal) {
    fflush(stdout);
    _exit(signal + 30);
}
static void quick(void) {
    printf("quick ");
    fflush(stdout);
}

static int run(int way) {
    pthread_t thread;
    switch (way) {
    case 0: return 7;
    case 1: exit(300);
    case 2: fflush(stdout), _exit(9);
    case 3: fflush(stdout), syscall(SYS_exit, 10);
    case 4: pthread_create(&thread, NULL, exits, (void *)11L), pause();
    case 5: pthread_create(&thread, NULL, group_exits, (void *)12L), pause();
    case 6: pthread_create(&thread, NULL, thread_ends, NULL), pthread_exit(NULL);
    case 7: fflush(stdout), abort();
    case 8: fflush(stdout), raise(SIGTERM);
    case 9: fflush(stdout), kill(getpid(), SIGKILL), pause();
    case 10: signal(SIGUSR1, in_handler), raise(SIGUSR1);
    case 11: at_quick_exit(quick), quick_exit(13);
    case 12: fflush(stdout), alarm(1), pause();
    case 13: fflush(stdout), __builtin_trap();
    case 14: fflush(stdout), syscall(SYS_exit_group, -1);
    case 15: pthread_exit(NULL);
    case 16: fflush(stdout), syscall(SYS_tgkill, getpid(), gettid(), SIGQUIT);
    case 17: fflush(stdout), execl("/bin/sh", "sh", "-c", "kill -9 $$", (char *)NULL);
    }
    return 99;
}

int main(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    for (int way = 0; way < 18; way++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            atexit(at_exit);
            return run(way);
        }
        siginfo_t info;
        CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        printf("%d: status %04x code %d\n", way, status & ~0x80, info.si_code == CLD_DUMPED ? CLD_KILLED : info.si_code);
    }
    return SUCCESS();
}
