// build: cc -O1 -pthread
// build static: cc -O1 -pthread -static
// The alternate signal stack: where handlers run, what the query says, nesting, disarming, each thread its own.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static __thread char *area;
static __thread volatile int depth;
static volatile int ran;
enum { SIZE = 1 << 18 };

static void handler(int signal, siginfo_t *info, void *context) {
    stack_t now;
    char *here = (char *)&now;
    (void)info;
    CHECK(here >= area && here < area + SIZE);
    CHECK(sigaltstack(NULL, &now) == 0);
    CHECK(now.ss_flags == SS_ONSTACK && now.ss_sp == area && now.ss_size == SIZE);
    stack_t other = {.ss_sp = area, .ss_size = SIZE};
    CHECK(sigaltstack(&other, NULL) == -1 && errno == EPERM);
    CHECK(((ucontext_t *)context)->uc_stack.ss_sp == area);
    ran++;
    if (depth++ < 3) raise(signal);
    depth--;
}

static void disarmed(int signal, siginfo_t *info, void *context) {
    stack_t now;
    (void)signal, (void)info;
    CHECK(sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE));
    CHECK(((ucontext_t *)context)->uc_stack.ss_flags & SS_AUTODISARM);
    ran += 100;
}

static void normal(int signal) {
    char here;
    (void)signal;
    CHECK(&here < area || &here >= area + SIZE);
    ran += 1000;
}

static void *body(void *argument) {
    area = malloc(SIZE);
    stack_t stack = {.ss_sp = area, .ss_size = SIZE}, old;
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
    CHECK(sigaltstack(&stack, &old) == 0 && old.ss_flags == SS_DISABLE);
    raise(SIGUSR1);
    raise(SIGUSR2);
    stack.ss_flags = (int)SS_AUTODISARM;
    CHECK(sigaltstack(&stack, NULL) == 0);
    raise(SIGURG);
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == area && old.ss_flags == (int)SS_AUTODISARM);
    stack_t small = {.ss_sp = area, .ss_size = 100};
    CHECK(sigaltstack(&small, NULL) == -1 && errno == ENOMEM);
    stack_t wrong = {.ss_sp = area, .ss_size = SIZE, .ss_flags = 77};
    CHECK(sigaltstack(&wrong, NULL) == -1 && errno == EINVAL);
    stack_t off = {.ss_flags = SS_DISABLE};
    CHECK(sigaltstack(&off, NULL) == 0 && sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
    free(area);
    return argument;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaction(SIGUSR1, &action, NULL);
    action.sa_sigaction = disarmed;
    sigaction(SIGURG, &action, NULL);
    signal(SIGUSR2, normal);
    body(NULL);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0 && pthread_join(thread, NULL) == 0);
    printf("%d\n", ran);
    return SUCCESS();
}
