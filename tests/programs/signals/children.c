// build: cc -O2
// SIGCHLD and its flags: status in siginfo, waiting in the handler, SA_NOCLDWAIT, SA_NOCLDSTOP, ignoring it.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int reaped, codes[8], calls;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    calls++;
    codes[info->si_code & 7]++;
    int saved = errno, status;
    while (waitpid(-1, &status, WNOHANG) > 0) reaped++;
    errno = saved;
}

static pid_t child(int delay, int code) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        usleep((unsigned)delay);
        _exit(code);
    }
    return pid;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGCHLD, &action, NULL);
    for (int i = 0; i < 20; i++) child(i * 100, i);
    while (reaped < 20) usleep(1000);
    calls = 0;
    pid_t pid = child(3000000, 0);
    kill(pid, SIGSTOP);
    while (codes[CLD_STOPPED] == 0) usleep(1000);
    kill(pid, SIGCONT);
    while (codes[CLD_CONTINUED] == 0) usleep(1000);
    kill(pid, SIGTERM);
    while (reaped < 21) usleep(1000);
    printf("killed %d stopped %d continued %d\n", codes[CLD_KILLED], codes[CLD_STOPPED], codes[CLD_CONTINUED]);
    action.sa_flags |= SA_NOCLDWAIT | SA_NOCLDSTOP;
    sigaction(SIGCHLD, &action, NULL);
    calls = 0;
    child(0, 1);
    while (calls == 0) usleep(1000);
    CHECK(wait(NULL) == -1 && errno == ECHILD);
    signal(SIGCHLD, SIG_IGN);
    child(1000, 1);
    CHECK(wait(NULL) == -1 && errno == ECHILD);
    return SUCCESS();
}
