// build: cc -g -O0 -w
// build clang: clang -g -O0 -w
// Local variables that were never set, of functions that call others: without a call they may lie below the stack pointer.
#include "../guest.h"

static volatile int sink;
static void __attribute__((noinline)) other(void) { sink++; }
static int __attribute__((noinline)) unset(int n) {
    int x;
    other();
    if (n == 3) x = 1;
    if (x) sink++; //~ UninitCondition 0
    return n;
}
static int __attribute__((noinline)) of_array(int n) {
    int list[10];
    other();
    if (n > 5) list[3] = n;
    return list[3] > 2;
}
static void __attribute__((noinline)) fill(char *text, int n) {
    for (int i = 0; i < n; i++) text[i] = (char)i;
}

int main(int argc, char **argv) {
    (void)argv;
    unset(argc);
    if (of_array(argc)) sink++; //~ UninitCondition 0
    char text[200];
    fill(text, 100);
    for (int i = 0; i < 100; i++) CHECK(text[i] == (char)i);
    if (text[150] == 3) sink++; //~ UninitCondition 0
    struct { char c; int i; } one = {1, 2}, other;
    other = one;
    CHECK(other.c == 1 && other.i == 2);
    double real = 1.5, twice[4];
    for (int i = 0; i < 4; i++) twice[i] = real * i;
    CHECK(twice[3] == 4.5);
    return SUCCESS();
}
