// build: cc -O1 -pthread
// trace: partial
// Faults that kill: unhandled, ignored, blocked, in a handler, in a thread; each in a child of its own.
#define _GNU_SOURCE
#include "../guest.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void crash(void) { *(volatile int *)4 = 4; }
static void unhandled(void) { crash(); }
static void ignored(void) {
    signal(SIGSEGV, SIG_IGN);
    crash();
}
static void empty(int signal) { (void)signal; }
static void blocked(void) {
    signal(SIGSEGV, empty);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    sigprocmask(SIG_BLOCK, &set, NULL);
    crash();
}
static void again(int signal) {
    (void)signal;
    crash();
}
static void in_handler(void) {
    signal(SIGSEGV, again);
    crash();
}
static void *in_thread_body(void *argument) {
    crash();
    return argument;
}
static void in_thread(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread_body, NULL);
    pthread_join(thread, NULL);
}
static void illegal(void) { __asm__ volatile("ud2"); }
static void divide(void) { __asm__ volatile("xor %%ecx, %%ecx\n\txor %%edx, %%edx\n\tdivl %%ecx" ::: "eax", "ecx", "edx"); }
static void trap(void) { __asm__ volatile("int3"); }
static void aborting(void) { abort(); }
static void abort_handled(void) {
    signal(SIGABRT, empty);
    abort();
}
static void sent(void) { kill(getpid(), SIGSEGV); }
static void jump(void) { ((void (*)(void))8)(); }
static void bad_stack(void) { __asm__ volatile("mov $64, %%esp\n\tpush %%rax" ::: "memory"); }
static void bad_return(void) { __asm__ volatile("push $16\n\tret" ::: "memory"); }

int main(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {{"unhandled", unhandled}, {"ignored", ignored},   {"blocked", blocked},     {"in handler", in_handler},
                 {"in thread", in_thread}, {"illegal", illegal},   {"divide", divide},       {"trap", trap},
                 {"abort", aborting},      {"abort handled", abort_handled}, {"sent", sent}, {"jump", jump},
                 {"bad stack", bad_stack}, {"bad return", bad_return}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            cases[i].run();
            _exit(99);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        if (WIFSIGNALED(status)) printf("%s: killed by %d\n", cases[i].name, WTERMSIG(status));
        else printf("%s: exited with %d\n", cases[i].name, WEXITSTATUS(status));
    }
    return SUCCESS();
}
