// build: cc -O2
// build static: cc -O2 -static
// Memory that a SIGSEGV handler makes accessible page by page: scalar, vector and string accesses resume.
#define _GNU_SOURCE
#include "../guest.h"
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

enum { PAGES = 512, PAGE = 4096 };
static unsigned char *area;
static volatile int faults;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    uintptr_t address = (uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1);
    CHECK(info->si_code == SEGV_ACCERR && address - (uintptr_t)area < PAGES * PAGE);
    CHECK(mprotect((void *)address, PAGE, PROT_READ | PROT_WRITE) == 0);
    faults++;
}

static void protect(void) { CHECK(mprotect(area, PAGES * PAGE, PROT_NONE) == 0); }

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    area = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    for (int i = 0; i < PAGES; i++) area[i * PAGE + i] = (unsigned char)i;
    printf("stores %d\n", faults);
    protect();
    memset(area + 1, 7, PAGES * PAGE - 2);
    printf("memset %d\n", faults);
    protect();
    long n = PAGES * PAGE / 2 - 100;
    void *to = area + PAGES * PAGE / 2, *from = area;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
    CHECK(n == 0);
    printf("rep movs %d\n", faults);
    protect();
    unsigned long sum = 0;
    for (int i = 0; i < PAGES * PAGE; i += 8) sum += *(uint64_t *)(area + i) & 0xff;
    printf("loads %d %lu\n", faults, sum);
    protect();
    // Accesses across two protected pages fault twice.
    for (int i = 2; i + 1 < PAGES; i += 4) *(volatile uint64_t *)(area + (i + 1) * PAGE - 3) += 1;
    printf("across %d\n", faults);
    protect();
    void *end = memchr(area, 99, PAGES * PAGE);
    CHECK(end == NULL);
    printf("memchr %d\n", faults);
    return SUCCESS();
}
