// build: cc -O2
// record: --events=alloc,clock,shadow
// A function whose callee first overwrites the flags, and then, changed, reads them: what was put where no flag seemed
// alive (a count, a check) must not destroy them. Caller and callee lie in different pages.
#include "../guest.h"
#include <stdint.h>
#include <sys/mman.h>

int main(void) {
    // cmp eax, eax sets ZF; the jump ends a block. Then: mov ecx, [rdi]; call callee; ret
    static const uint8_t caller[] = {0x39, 0xc0, 0xeb, 0x00, 0x8b, 0x0f, 0xe8, 0, 0, 0, 0, 0xc3};
    // xor eax, eax; ret
    static const uint8_t first[] = {0x31, 0xc0, 0xc3};
    // setz al; movzx eax, al; ret
    static const uint8_t second[] = {0x0f, 0x94, 0xc0, 0x0f, 0xb6, 0xc0, 0xc3};
    uint8_t *code = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(code != MAP_FAILED);
    uint8_t *callee = code + 4096;
    memcpy(callee, first, sizeof first);
    // Its page is protected by the engine once it has run.
    CHECK(((int (*)(void))callee)() == 0);
    memcpy(code, caller, sizeof caller);
    int32_t distance = (int32_t)(callee - (code + 11));
    memcpy(code + 7, &distance, sizeof distance);
    int word = 7;
    int (*call)(int *) = (int (*)(int *))code;
    for (int i = 0; i < 3; i++) {
        CHECK(call(&word) == 0);
    }
    memcpy(callee, second, sizeof second);
    for (int i = 0; i < 3; i++) {
        CHECK(call(&word) == 1);
    }
    return SUCCESS();
}
