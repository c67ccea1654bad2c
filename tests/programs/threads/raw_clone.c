// build: cc -O2
// build static: cc -O2 -static
// Bare clone and clone3: shared memory without a thread group, thread with its own TLS, tid pointers, exit futex.
#define _GNU_SOURCE
#include "../guest.h"
#include <asm/prctl.h>
#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int shared, parent_tid, child_tid;
static char stack[65536] __attribute__((aligned(64)));

static int separate(void *argument) {
    shared += *(int *)argument;
    return 5;
}

// A thread without libc: what it sees is returned through memory, and it ends with a raw exit.
static uintptr_t block[64] __attribute__((aligned(64)));
static volatile uintptr_t seen[4];

static void start_thread(int use_clone3) {
    uintptr_t *top = (uintptr_t *)(stack + sizeof stack);
    block[0] = (uintptr_t)block;
    block[8] = 0xfeedface;
    unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                          CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    struct clone_args args = {
        .flags = flags,
        .child_tid = (uintptr_t)&child_tid,
        .parent_tid = (uintptr_t)&parent_tid,
        .stack = (uintptr_t)stack,
        .stack_size = sizeof stack,
        .tls = (uintptr_t)block,
    };
    long result;
    register long r10 __asm__("r10") = (long)&child_tid;
    register long r8 __asm__("r8") = (long)block;
    long a = use_clone3 ? (long)&args : (long)flags;
    long b = use_clone3 ? (long)sizeof args : (long)top;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "mov %%rsp, (%[seen])\n\t"
                     "mov %%fs:0, %%rax\n\t"
                     "mov %%rax, 8(%[seen])\n\t"
                     "mov %%fs:64, %%rax\n\t"
                     "mov %%rax, 16(%[seen])\n\t"
                     "push %%rax\n\t"
                     "pop 24(%[seen])\n\t"
                     "xor %%edi, %%edi\n\t"
                     "mov $60, %%eax\n\t"
                     "syscall\n\t"
                     "1:"
                     : "=a"(result)
                     : "a"((long)(use_clone3 ? SYS_clone3 : SYS_clone)), "D"(a), "S"(b), "d"(&parent_tid), "r"(r10), "r"(r8),
                       [seen] "b"(seen)
                     : "rcx", "r11", "memory");
    if (result < 0 && use_clone3) {
        puts("no clone3");
        return;
    }
    CHECK(result > 0);
    int tid;
    while ((tid = child_tid) != 0)
        syscall(SYS_futex, &child_tid, FUTEX_WAIT, tid, NULL, NULL, 0);
    CHECK(parent_tid == result);
    CHECK(seen[0] == (uintptr_t)top && seen[1] == (uintptr_t)block && seen[2] == 0xfeedface && seen[3] == 0xfeedface);
    puts("thread done");
}

int main(void) {
    int value = 12, status;
    pid_t pid = clone(separate, stack + sizeof stack, CLONE_VM | SIGCHLD, &value);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
    CHECK(shared == 12);
    pid = clone(separate, stack + sizeof stack, SIGCHLD, &value);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5 && shared == 12);
    pid = clone(separate, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &value);
    CHECK(shared == 24 && waitpid(pid, &status, 0) == pid);
    child_tid = -1;
    start_thread(0);
    child_tid = -1;
    start_thread(1);
    CHECK(clone(separate, stack + sizeof stack, CLONE_THREAD, &value) == -1 && errno == EINVAL);
    return SUCCESS();
}
