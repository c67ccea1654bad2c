// build: cc -O2
// ends: exit 42
// Returns a status of its own from main.
#include <stdio.h>

int main(void) {
    puts("status 42");
    return 42;
}
