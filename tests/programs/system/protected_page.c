// build: cc -g -O0
// build O2: cc -g -O2
// peer: tells of what is not mapped alone
// peer O2: tells of what is not mapped alone
// A page that mprotect has closed: the handler opens it and the access is made again.
#include "../guest.h"
#include <signal.h>
#include <sys/mman.h>

static char *page;
static volatile int faults;

static void handle(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    CHECK((char *)info->si_addr >= page && (char *)info->si_addr < page + 4096);
    faults++;
    CHECK(mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    volatile char *bytes = page;
    bytes[3] = 1;
    CHECK(mprotect(page, 4096, PROT_NONE) == 0);
    CHECK(bytes[3] == 1); //~ InvalidRead 1
    CHECK(mprotect(page, 4096, PROT_READ) == 0);
    bytes[4] = 2; //~ InvalidWrite 1
    CHECK(bytes[4] == 2 && faults == 2);
    return SUCCESS();
}
