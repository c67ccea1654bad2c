// build: cc -g -O0 -w
// build clang: clang -g -O0 -w
// Local variables of functions that call no others, which lie below the stack pointer.
#include "../guest.h"

static volatile int sink;

static void __attribute__((noinline)) dirty(int n) {
    volatile int list[200];
    for (int i = 0; i < 200; i++) list[i] = n;
}
static int __attribute__((noinline)) unset(int n) {
    int x;
    if (n == 3) x = 1;
    return x;
}
static int __attribute__((noinline)) straight(void) {
    int x;
    return x;
}
static int __attribute__((noinline)) of_array(int n) {
    int list[8];
    if (n > 5) list[3] = n;
    if (list[3] > 2) return 1; //~ UninitCondition 0
    return 0;
}
static int __attribute__((noinline)) sum(const int *from, int n) {
    int list[8], total = 0;
    for (int i = 0; i < n; i++) list[i] = from[i];
    for (int i = 0; i < n; i++) total += list[i];
    return total;
}
static int (*volatile pointer)(int) = unset;

int main(int argc, char **argv) {
    (void)argv;
    int numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (int i = 0; i < 3; i++) CHECK(sum(numbers, 8) == 36);
    dirty(argc);
    if (unset(argc)) sink++; //~ UninitCondition 0
    if (straight()) sink++; //~ UninitCondition 0
    sink += of_array(argc);
    if (pointer(argc)) sink++; //~ UninitCondition 0
    for (int i = 0; i < 3; i++) CHECK(sum(numbers, 8) == 36);
    return SUCCESS();
}
