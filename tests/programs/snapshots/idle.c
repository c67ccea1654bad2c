// build: cc -g -O1 -pthread
// Threads that sleep in system calls or compute while snapshots are taken from outside; what only they point at is
// reachable, and no system call ends early. Ends at SIGTERM.
#define _GNU_SOURCE
#include "../guest.h"
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>

static volatile int returned, running, over;
static int silent[2], talking[2];
static void *volatile slot;

static void came_back(void) { __atomic_add_fetch(&returned, 1, __ATOMIC_SEQ_CST); }

// Only a register that system calls leave alone holds the block.
static void *in_a_register(void *unused) {
    (void)unused;
    slot = malloc(41); //~ reachable 41 1
    long number = SYS_poll;
    __asm__ volatile("xorl %%eax, %%eax; xchgq slot_of_register(%%rip), %%rax; movq %%rax, %%r12\n\t"
                     "movl %2, %%eax; syscall"
                     : "=a"(number)
                     : "D"(0L), "i"(SYS_poll), "S"(0L), "d"(-1L)
                     : "rcx", "r11", "r12", "memory");
    came_back();
    return NULL;
}
__asm__(".set slot_of_register, slot");

static void __attribute__((noinline)) dive(int depth, int descriptor) {
    volatile char frame[1024];
    frame[0] = (char)depth;
    if (depth > 0) {
        dive(depth - 1, descriptor);
        frame[1] = frame[0];
        return;
    }
    void *volatile local = slot;
    slot = NULL;
    char byte;
    CHECK(read(descriptor, &byte, 1) == 1);
    slot = local;
}

// Only a deep frame does.
static void *on_the_stack(void *unused) {
    (void)unused;
    // Known code, so that nothing but the system call tells where the stack ends.
    for (int i = 0; i < 3; i++) dive(20, talking[0]);
    slot = malloc(42); //~ reachable 42 1
    dive(20, silent[0]);
    came_back();
    return NULL;
}

// Only a register of a thread that computes.
static void *in_a_loop(void *unused) {
    (void)unused;
    register unsigned long block __asm__("r13") = (unsigned long)malloc(43); //~ reachable 43 1
    running = 1;
    while (!over) __asm__ volatile("" : "+r"(block));
    return NULL;
}

static void *in_epoll(void *unused) {
    (void)unused;
    struct epoll_event event;
    int set = epoll_create1(0);
    epoll_wait(set, &event, 1, -1);
    came_back();
    return NULL;
}

static void *in_a_futex(void *unused) {
    (void)unused;
    sem_t never;
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 100;
    sem_init(&never, 0, 0);
    sem_timedwait(&never, &end);
    came_back();
    return NULL;
}

static void *in_a_nap(void *unused) {
    (void)unused;
    struct timespec nap = {100, 0};
    nanosleep(&nap, NULL);
    came_back();
    return NULL;
}

static void *in_a_wait(void *unused) {
    (void)unused;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigtimedwait(&set, NULL, &(struct timespec){100, 0});
    came_back();
    return NULL;
}

static void handler(int signal) { over = signal; }

static void start(void *(*what)(void *)) {
    pthread_t thread;
    pthread_attr_t small;
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 1 << 17) == 0);
    CHECK(pthread_create(&thread, &small, what, NULL) == 0);
    // One after another: they share a variable.
    usleep(50000);
}

static void __attribute__((noinline)) lose(void) {
    void *volatile lost = malloc(44); //~ definite 44 1
    CHECK(lost != NULL);
    lost = NULL;
}

int main(void) {
    struct sigaction action = {.sa_handler = handler};
    sigset_t all, none;
    CHECK(pipe(silent) == 0 && pipe(talking) == 0 && write(talking[1], "abc", 3) == 3);
    sigaction(SIGTERM, &action, NULL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &none);
    start(in_a_register);
    start(on_the_stack);
    start(in_a_loop);
    start(in_epoll);
    start(in_a_futex);
    start(in_a_nap);
    start(in_a_wait);
    lose();
    scrub();
    CHECK(running && returned == 0 && slot == NULL);
    puts("ready");
    fflush(stdout);
    while (!over) sigsuspend(&none);
    printf("%d came back, signal %d\n", returned, over);
    fflush(stdout);
    _exit(0);
}
