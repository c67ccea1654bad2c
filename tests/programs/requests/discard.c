// build: cc -g -O2
// Code that is rewritten through another mapping and then discarded, as a just-in-time compiler does it for Valgrind; and
// requests in such code.
#define _GNU_SOURCE
#include "../guest.h"
#include "../client_requests.h"
#include <sys/mman.h>

int main(void) {
    int running = REQUEST(0, RUNNING_ON_VALGRIND) != 0;
    int fd = memfd_create("code", 0);
    CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
    unsigned char *writable = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK(writable != MAP_FAILED && code != MAP_FAILED);
    for (int i = 0; i < 1000; i++) {
        unsigned char bytes[] = {0xb8, (unsigned char)i, 0, 0, 0, 0xc3};
        memcpy(writable + 16 * (i % 8), bytes, sizeof bytes);
        REQUEST(0, DISCARD_TRANSLATIONS, ADDRESS(code), 4096);
        int (*function)(void);
        *(void **)&function = code + 16 * (i % 8);
        CHECK(function() == (i & 255));
    }
    // mov rdx, rsi; mov rax, rdi; the request; mov rax, rdx; ret. At the end of the page, whole and cut.
    static const unsigned char request[] = {0x48, 0x89, 0xf2, 0x48, 0x89, 0xf8, 0x48, 0xc1, 0xc7, 3,  0x48,
                                            0xc1, 0xc7, 13,   0x48, 0xc1, 0xc7, 61,   0x48, 0xc1, 0xc7, 51,
                                            0x48, 0x87, 0xdb, 0x48, 0x89, 0xd0, 0xc3};
    unsigned long words[6] = {RUNNING_ON_VALGRIND};
    for (int round = 0; round < 2; round++) {
        memcpy(writable + 4096 - sizeof request, request, sizeof request);
        // The second time the last exchange is of another register: ordinary code.
        if (round == 1) writable[4096 - 5] = 0xf6;
        REQUEST(0, DISCARD_TRANSLATIONS, ADDRESS(code), 4096);
        long (*function)(void *, long);
        *(void **)&function = code + 4096 - sizeof request;
        CHECK(function(words, 7) == (running && round == 0 ? 1 : 7));
        // In the middle of the sequence it is ordinary code, too; rdi is lost, the default comes back.
        *(void **)&function = code + 4096 - sizeof request + 10;
        __asm__ volatile("" : : "d"(7L));
        long result = 0;
        __asm__ volatile("movq $9, %%rdx; call *%1" : "=a"(result) : "r"(function) : "rdx", "rdi", "cc", "memory");
        CHECK(result == 9);
    }
    return SUCCESS();
}
