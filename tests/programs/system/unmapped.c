// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// ends: signal 11
// A file's mapping is used after munmap.
#include "../guest.h"
#include <sys/mman.h>

int main(void) {
    FILE *file = tmpfile();
    CHECK(file != NULL && ftruncate(fileno(file), 8192) == 0);
    volatile int *words = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    CHECK(words != MAP_FAILED);
    words[100] = 3;
    CHECK(words[100] == 3 && words[101] == 0);
    CHECK(munmap((void *)words, 8192) == 0);
    words[100] = 4; //~ InvalidWrite 4 //~ FatalSignal 0
    return SUCCESS();
}
