// build: cc -O2
// Real-time signals: queued, in order of their numbers, with their values; standard ones are merged.
#define _GNU_SOURCE
#include "../guest.h"
#include <signal.h>
#include <unistd.h>

static struct {
    int signal, value, code;
} seen[1000];
static volatile int count, standard;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)context;
    if (signal < 32) {
        standard++;
        return;
    }
    seen[count].signal = signal;
    seen[count].code = info->si_code;
    CHECK(info->si_pid == getpid() && info->si_uid == getuid());
    seen[count++].value = info->si_value.sival_int;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    for (int s = SIGRTMIN; s <= SIGRTMAX; s++) sigaction(s, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (int round = 0; round < 10; round++) {
        for (int s = SIGRTMAX; s >= SIGRTMIN; s--) CHECK(sigqueue(getpid(), s, (union sigval){.sival_int = s * 100 + round}) == 0);
        kill(getpid(), SIGUSR1);
    }
    CHECK(count == 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK(count == 10 * (SIGRTMAX - SIGRTMIN + 1));
    for (int i = 0; i < count; i++) {
        CHECK(seen[i].signal == SIGRTMIN + i / 10 && seen[i].value == seen[i].signal * 100 + i % 10 && seen[i].code == SI_QUEUE);
    }
    printf("%d %d\n", count, standard);
    return SUCCESS();
}
