// build: cc -O1
// timeout: 120
// Much generated code: twenty thousand functions of different sizes, called in changing order, then replaced.
#include "../guest.h"
#include <stdint.h>
#include <sys/mman.h>

typedef uint64_t (*step)(uint64_t);
enum { FUNCTIONS = 20000, SIZE = 96 };
static unsigned char *code;

static void generate(int index, uint32_t salt) {
    unsigned char *p = code + (size_t)index * SIZE;
    *p++ = 0x48, *p++ = 0x89, *p++ = 0xf8; // mov rax, rdi
    for (uint32_t i = 0; i < 1 + ((uint32_t)index + salt) % 8; i++) {
        uint32_t immediate = (uint32_t)index * 2654435761u + salt + i;
        if (i % 3 == 0) *p++ = 0x48, *p++ = 0x05, memcpy(p, &immediate, 4), p += 4; // add rax, imm32
        else if (i % 3 == 1) *p++ = 0x48, *p++ = 0x35, memcpy(p, &immediate, 4), p += 4; // xor rax, imm32
        else *p++ = 0x48, *p++ = 0xc1, *p++ = 0xc0, *p++ = (unsigned char)(immediate % 63 + 1); // rol rax, imm8
        // A branch that is taken depending on the value: test al, 1; jz +3; inc rax
        *p++ = 0xa8, *p++ = 0x01, *p++ = 0x74, *p++ = 0x03, *p++ = 0x48, *p++ = 0xff, *p++ = 0xc0;
    }
    *p = 0xc3;
}

int main(void) {
    code = mmap(NULL, FUNCTIONS * SIZE + 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(code != MAP_FAILED);
    uint64_t value = 1;
    for (uint32_t salt = 0; salt < 3; salt++) {
        for (int i = 0; i < FUNCTIONS; i++) generate(i, salt);
        for (int round = 0; round < 3; round++)
            for (int i = 0; i < FUNCTIONS; i++)
                value = ((step)(void *)(code + (size_t)((i * 7919 + round) % FUNCTIONS) * SIZE))(value);
        printf("%016lx\n", (unsigned long)value);
    }
    return SUCCESS();
}
