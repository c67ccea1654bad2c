// build: cc -g -O1 -fno-builtin
// build static: cc -g -O1 -fno-builtin -static
// build musl: musl-gcc -g -O1 -fno-builtin -static
// record: --events=alloc,shadow
// String functions that fault: the handler sees the address, can leave by a jump, and can make the page accessible, upon
// which the function does all of its work. Code in a page that a function writes to is seen to have changed.
#define _GNU_SOURCE
#include "../guest.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static sigjmp_buf out;
static volatile char *expected_low, *expected_high;
static volatile int faults, repair;
static char *pages;
static volatile long sink;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    faults++;
    char *address = info->si_addr;
    if (address < expected_low || address >= expected_high) {
        _exit(9);
    }
    if (repair) {
        mprotect(pages + 4096, 4096, PROT_READ | PROT_WRITE);
        return;
    }
    siglongjmp(out, 1);
}

#define FAULTS(call)                                                                         \
    do {                                                                                     \
        int before = faults;                                                                 \
        if (sigsetjmp(out, 1) == 0) {                                                        \
            call;                                                                            \
        }                                                                                    \
        CHECK(faults == before + 1);                                                         \
    } while (0)

static void fill(void) {
    mprotect(pages + 4096, 4096, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 8192; i++) {
        pages[i] = (char)(i % 251 + 1);
    }
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    static char buffer[8192];

    expected_low = NULL;
    expected_high = (char *)4096;
    FAULTS(sink = strlen(NULL));
    FAULTS(memcpy(buffer, NULL, 10));
    FAULTS(memcpy(NULL, buffer, 10));
    FAULTS(memset(NULL, 0, 10));
    FAULTS(sink = strcmp(buffer, NULL));
    FAULTS(strcpy(NULL, "text"));
    memcpy(NULL, NULL, 0);

    expected_low = pages + 4096;
    expected_high = pages + 8192;
    fill();
    mprotect(pages + 4096, 4096, PROT_NONE);
    FAULTS(sink = strlen(pages + 4000));
    FAULTS(sink = (long)memchr(pages + 4000, 0, 97));
    FAULTS(memcpy(buffer, pages + 4000, 200));
    FAULTS(memcpy(pages + 4000, buffer, 200));
    FAULTS(memset(pages + 4000, 1, 97));
    // What a copy that faults has written by then is not the same for every copy.
    for (int i = 4000; i < 4096; i++) pages[i] = 1;
    CHECK(memchr(pages + 4000, 0, 96) == NULL);

    // The handler lets it go on.
    repair = 1;
    char *ends[] = {pages + 4000, pages + 4095, pages + 3000};
    for (int i = 0; i < 3; i++) {
        for (int shift = -40; shift <= 40; shift += 16) {
            fill();
            memcpy(buffer, pages, 8192);
            mprotect(pages + 4096, 4096, PROT_READ);
            int before = faults;
            memmove(ends[i] + shift, ends[i], 3000);
            CHECK(faults == before + 1);
            CHECK(memcmp(ends[i] + shift, buffer + (ends[i] - pages), 3000) == 0);
        }
    }
    fill();
    strcpy(pages + 4000, "head");
    mprotect(pages + 4096, 4096, PROT_READ);
    char tail[300];
    memset(tail, 't', 299);
    tail[299] = 0;
    strcat(pages + 4000, tail);
    CHECK(strlen(pages + 4000) == 303 && memcmp(pages + 4004, tail, 300) == 0);

    // mov eax, N; ret
    char code[] = {(char)0xb8, 0, 0, 0, 0, (char)0xc3};
    int (*function)(void) = (int (*)(void))(pages + 8192);
    for (int i = 0; i < 20; i++) {
        code[1] = (char)i;
        memcpy(pages + 8192, code, sizeof code);
        CHECK(function() == i);
        // Onto itself, by one byte and back.
        memmove(pages + 8193, pages + 8192, sizeof code);
        memmove(pages + 8192, pages + 8193, sizeof code);
        CHECK(function() == i);
    }
    puts("EXIT-SUCCESS");
    return 0;
}
