// One thing at a time: calls and returns, indirect calls, system calls.
//
// usage: micro fib N | indirect COUNT | syscalls COUNT
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((noinline)) static long fib(long n) {
    if (n < 2)
        return n;
    long a = fib(n - 1), b = fib(n - 2);
    // The barrier keeps the compiler from turning a call into a loop.
    __asm__ volatile("" : "+r"(a), "+r"(b));
    return a + b;
}

__attribute__((noinline)) static long add(long x) { return x + 3; }
__attribute__((noinline)) static long mix(long x) { return x ^ (x >> 3); }
__attribute__((noinline)) static long turn(long x) { return (x << 1) - 7; }
__attribute__((noinline)) static long drop(long x) { return x - (x >> 5); }

static long (*volatile functions[4])(long) = {add, mix, turn, drop};

static long indirect(long count) {
    long x = 1;
    for (long i = 0; i < count; i++)
        x = functions[(i ^ (i >> 3)) & 3](x) & 0xffffffff;
    return x;
}

static long system_calls(long count) {
    long same = 1, pid = getpid();
    for (long i = 0; i < count; i++)
        same &= syscall(SYS_getpid) == pid;
    return same;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    long n = atol(argv[2]), result;
    if (strcmp(argv[1], "fib") == 0)
        result = fib(n);
    else if (strcmp(argv[1], "indirect") == 0)
        result = indirect(n);
    else if (strcmp(argv[1], "syscalls") == 0)
        result = system_calls(n);
    else
        return 2;
    printf("%ld\n", result);
    return 0;
}
