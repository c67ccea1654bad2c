// build: cc -O2 -Wl,-z,lazy
// env: LD_BIND_NOT=1
// The dynamic linker finds library functions, but never writes down where they are: each call comes to it again.
#include "../guest.h"

int main(void) {
    long sum = 0;
    for (int i = 0; i < 2000; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        sum += atol(text) + (long)strlen(text);
    }
    CHECK(sum == 1999000 + 10 + 90 * 2 + 900 * 3 + 1000 * 4);
    return SUCCESS();
}
