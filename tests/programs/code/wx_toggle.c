// build: cc -O2
// A generator that never has memory writable and executable at once.
#include "../guest.h"
#include "jit.h"
#include <sys/mman.h>

int main(void) {
    unsigned char *code = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(code != MAP_FAILED);
    for (int i = 0; i < 3000; i++) {
        CHECK(mprotect(code, 8192, PROT_READ | PROT_WRITE) == 0);
        emit(code + i % 4096, (uint32_t)i);
        CHECK(mprotect(code, 8192, PROT_READ | PROT_EXEC) == 0);
        CHECK(call(code + i % 4096) == i);
    }
    // Only a part changes its rights: functions of both pages are called in turn.
    mprotect(code, 8192, PROT_READ | PROT_WRITE);
    emit(code, 1);
    emit(code + 4096, 2);
    mprotect(code, 8192, PROT_READ | PROT_EXEC);
    for (int i = 0; i < 500; i++) {
        CHECK(call(code) == 1);
        CHECK(mprotect(code + 4096, 4096, PROT_READ | PROT_WRITE) == 0);
        emit(code + 4096, (uint32_t)(100 + i));
        CHECK(call(code) == 1);
        CHECK(mprotect(code + 4096, 4096, PROT_EXEC | PROT_READ) == 0);
        CHECK(call(code + 4096) == 100 + i);
    }
    return SUCCESS();
}
