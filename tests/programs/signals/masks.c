// build: cc -O2
// build musl: musl-gcc -O2 -static
// Masks and flags: pending, order of delivery, sa_mask, SA_NODEFER, SA_RESETHAND, queries return what was set.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

static char log_text[200];
static volatile int length;

static void add(char c) { log_text[length++] = c; }

static void plain(int signal) {
    sigset_t mask;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, signal));
    add((char)('a' + signal % 26));
}
static void masked(int signal) {
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK(sigismember(&mask, SIGUSR2) && sigismember(&mask, signal) && !sigismember(&mask, SIGTERM));
    add('(');
    raise(SIGUSR2);
    add(')');
}
static void open_handler(int signal) {
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK(!sigismember(&mask, signal));
    static volatile int depth;
    add('<');
    if (depth++ < 2) raise(signal);
    depth--;
    add('>');
}
static void once(int signal) {
    struct sigaction now;
    CHECK(sigaction(signal, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    add('1');
}

int main(void) {
    struct sigaction action = {.sa_handler = plain}, old;
    for (int s = 1; s <= 64; s++) {
        int valid = s != SIGKILL && s != SIGSTOP && (s < 32 || s > 34);
        if (s == 32 || s == 33 || s == 34) continue;
        CHECK((sigaction(s, &action, NULL) == 0) == valid);
        CHECK(sigaction(s, NULL, &old) == 0 && (!valid || old.sa_handler == plain));
    }
    sigset_t set, before, pending;
    sigfillset(&set);
    CHECK(sigprocmask(SIG_SETMASK, &set, &before) == 0);
    sigprocmask(SIG_SETMASK, NULL, &set);
    CHECK(!sigismember(&set, SIGKILL) && !sigismember(&set, SIGSTOP) && sigismember(&set, SIGSEGV));
    int order[] = {SIGTERM, SIGUSR2, SIGHUP, SIGUSR1, SIGTERM, SIGURG};
    for (int i = 0; i < 6; i++) kill(getpid(), order[i]);
    CHECK(sigpending(&pending) == 0);
    for (int s = 1; s < 32; s++)
        if (sigismember(&pending, s)) printf("pending %d\n", s);
    sigprocmask(SIG_SETMASK, &before, NULL);
    add('|');
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 0);

    action.sa_handler = masked;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR2);
    action.sa_flags = SA_RESTART;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR1, NULL, &old) == 0);
    CHECK(old.sa_handler == masked && (old.sa_flags & ~0x4000000) == SA_RESTART && sigismember(&old.sa_mask, SIGUSR2));
    raise(SIGUSR1);
    add('|');
    action = (struct sigaction){.sa_handler = open_handler, .sa_flags = SA_NODEFER};
    sigaction(SIGHUP, &action, NULL);
    raise(SIGHUP);
    add('|');
    action = (struct sigaction){.sa_handler = once, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGURG, &action, NULL);
    raise(SIGURG);
    raise(SIGURG);
    printf("%s\n", log_text);
    CHECK(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL);
    CHECK(sigaction(65, &action, NULL) == -1 && errno == EINVAL);
    CHECK(kill(getpid(), 65) == -1 && errno == EINVAL);
    CHECK(sigprocmask(99, &set, NULL) == -1 && errno == EINVAL);
    return SUCCESS();
}
