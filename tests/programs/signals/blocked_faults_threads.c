// build: cc -O2 -pthread
// A SIGSEGV that is sent to the process finds the thread that awaits it or has it open, whatever the others do.
#define _GNU_SOURCE
#include "../guest.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 50 };
static volatile int got, wrong, stop;
static pthread_barrier_t barrier;
static sigset_t segv;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)context;
    wrong += signal != SIGSEGV || (info->si_code != SI_USER && !stop) || info->si_pid != getpid();
    __atomic_fetch_add(&got, 1, __ATOMIC_SEQ_CST);
}

// All of these block it.
static void *calculates(void *unused) {
    while (!stop)
        for (volatile int i = 0; i < 1000; i++) {
        }
    return unused;
}
static void *calls(void *unused) {
    while (!stop) getppid();
    return unused;
}
static void *sleeps(void *unused) {
    while (!stop) CHECK(nanosleep(&(struct timespec){0, 1000000}, NULL) == 0);
    return unused;
}

static void *awaits(void *unused) {
    pthread_barrier_wait(&barrier);
    while (!stop) {
        siginfo_t info;
        CHECK(sigwaitinfo(&segv, &info) == SIGSEGV && info.si_code == SI_USER && info.si_pid == getpid());
        __atomic_fetch_add(&got, 1, __ATOMIC_SEQ_CST);
    }
    return unused;
}
static void *reads(void *unused) {
    int fd = signalfd(-1, &segv, 0);
    pthread_barrier_wait(&barrier);
    while (!stop) {
        struct signalfd_siginfo record;
        CHECK(read(fd, &record, sizeof record) == sizeof record && record.ssi_signo == SIGSEGV);
        CHECK((record.ssi_code == SI_USER || stop) && (pid_t)record.ssi_pid == getpid());
        __atomic_fetch_add(&got, 1, __ATOMIC_SEQ_CST);
    }
    close(fd);
    return unused;
}
static void *polls(void *unused) {
    int fd = signalfd(-1, &segv, SFD_NONBLOCK);
    struct pollfd poll_one = {.fd = fd, .events = POLLIN};
    pthread_barrier_wait(&barrier);
    while (!stop) {
        struct signalfd_siginfo record;
        CHECK(poll(&poll_one, 1, -1) == 1 && read(fd, &record, sizeof record) == sizeof record);
        __atomic_fetch_add(&got, 1, __ATOMIC_SEQ_CST);
    }
    close(fd);
    return unused;
}
static void *open_and_calculates(void *unused) {
    pthread_sigmask(SIG_UNBLOCK, &segv, NULL);
    pthread_barrier_wait(&barrier);
    return calculates(unused);
}
static void *open_and_waits(void *unused) {
    pthread_sigmask(SIG_UNBLOCK, &segv, NULL);
    pthread_barrier_wait(&barrier);
    while (!stop) pause();
    return unused;
}
static void *ends(void *unused) { return unused; }

int main(void) {
    void *(*const bodies[])(void *) = {awaits, reads, polls, open_and_calculates, open_and_waits};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    sigemptyset(&segv);
    sigaddset(&segv, SIGSEGV);
    pthread_sigmask(SIG_BLOCK, &segv, NULL);
    pthread_barrier_init(&barrier, NULL, 2);
    for (unsigned body = 0; body < sizeof bodies / sizeof *bodies; body++) {
        pthread_t taker, others[3];
        got = wrong = stop = 0;
        CHECK(pthread_create(&others[0], NULL, calculates, NULL) == 0);
        CHECK(pthread_create(&others[1], NULL, calls, NULL) == 0);
        CHECK(pthread_create(&others[2], NULL, sleeps, NULL) == 0);
        CHECK(pthread_create(&taker, NULL, bodies[body], NULL) == 0);
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < ROUNDS; i++) {
            CHECK(kill(getpid(), SIGSEGV) == 0);
            for (int k = 0; k < 5000 && got == i; k++) usleep(1000);
            if (got != i + 1) printf("body %u, round %d: %d arrived\n", body, i, got);
            CHECK(got == i + 1);
        }
        stop = 1;
        // One of its own, if it has not ended yet.
        pthread_kill(taker, SIGSEGV);
        CHECK(pthread_join(taker, NULL) == 0);
        for (int i = 0; i < 3; i++) CHECK(pthread_join(others[i], NULL) == 0);
        CHECK((got == ROUNDS || got == ROUNDS + 1) && wrong == 0);
    }
    // Blocked by all, it waits for the first that unblocks it; and a thread that ends takes none away.
    got = 0;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, ends, NULL) == 0);
        CHECK(kill(getpid(), SIGSEGV) == 0 && pthread_join(thread, NULL) == 0 && got == i);
        pthread_sigmask(SIG_UNBLOCK, &segv, NULL);
        CHECK(got == i + 1);
        pthread_sigmask(SIG_BLOCK, &segv, NULL);
    }
    return SUCCESS();
}
