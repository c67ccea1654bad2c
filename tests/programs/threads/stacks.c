// build: cc -O2 -pthread
// What threads learn about their stacks, own stacks, small stacks, the guard page.
#define _GNU_SOURCE
#include "../guest.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

static sigjmp_buf back;
static char *own_stack;

static void inside(const void *local) {
    pthread_attr_t attributes;
    void *start;
    size_t size;
    CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
    CHECK(pthread_attr_getstack(&attributes, &start, &size) == 0);
    CHECK((char *)local >= (char *)start && (char *)local < (char *)start + size);
    CHECK(size >= 16384);
    pthread_attr_destroy(&attributes);
}

static void *body(void *argument) {
    volatile char local[4000];
    local[0] = local[3999] = 1;
    inside((const void *)local);
    if (argument) CHECK((char *)local > own_stack && (char *)local < own_stack + 65536);
    return argument;
}

static void jump(int signal) { siglongjmp(back, signal); }

static void *overflow(void *argument) {
    static char alternate[32768];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    CHECK(sigaltstack(&stack, NULL) == 0);
    pthread_attr_t attributes;
    void *start;
    size_t size;
    CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
    CHECK(pthread_attr_getstack(&attributes, &start, &size) == 0);
    if (sigsetjmp(back, 1) == 0) ((volatile char *)start)[-1] = 1;
    else return argument;
    CHECK(!"the guard page is missing");
}

int main(void) {
    int local;
    inside(&local);
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, 65536) == 0);
    CHECK(pthread_create(&thread, &attributes, body, NULL) == 0 && pthread_join(thread, NULL) == 0);
    own_stack = malloc(65536);
    CHECK(pthread_attr_setstack(&attributes, own_stack, 65536) == 0);
    CHECK(pthread_create(&thread, &attributes, body, own_stack) == 0 && pthread_join(thread, NULL) == 0);
    free(own_stack);
    struct sigaction action = {.sa_handler = jump, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    CHECK(pthread_create(&thread, NULL, overflow, NULL) == 0 && pthread_join(thread, NULL) == 0);
    return SUCCESS();
}
