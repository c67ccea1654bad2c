// build: cc -g -O0
// An open stream is still reachable, its buffer and the buffer of stdout are given back by the C library at exit.
#include "../guest.h"

int main(void) {
    FILE *file = fopen("/proc/self/status", "r"); //~ reachable * 1
    char line[256];
    CHECK(file && fgets(line, sizeof line, file));
    file = NULL;
    scrub();
    return SUCCESS();
}
