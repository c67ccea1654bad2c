// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// An undefined argument among many of a function with a variable number of them.
#include "../guest.h"
#include <stdarg.h>

static volatile int sink;

static int __attribute__((noinline)) sum(int count, ...) {
    va_list list;
    va_start(list, count);
    int sum = 0;
    for (int i = 0; i < count; i++) sum += va_arg(list, int);
    va_end(list);
    return sum;
}
static void __attribute__((noinline)) use(int value) {
    if (value > 50) sink++; //~ UninitCondition 0
}

int main(void) {
    int *numbers = malloc(10 * sizeof *numbers);
    for (int i = 0; i < 9; i++) numbers[i] = i;
    use(sum(9, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], numbers[7],
            numbers[8]));
    use(sum(3, numbers[1], numbers[9], numbers[2]));
    use(sum(9, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], numbers[7],
            numbers[9]));
    // What is passed and not looked at is no error.
    use(sum(2, numbers[1], numbers[2], numbers[9]));
    free(numbers);
    return SUCCESS();
}
