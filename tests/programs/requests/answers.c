// build: cc -g -O2
// record: --events=alloc,clock
// What each client request answers; natively, and for what is not known, its default.
#include "../guest.h"
#include "../client_requests.h"

static char area[256];

static void printing(int running) {
    CHECK(request_printf("plain\n") == (running ? 6 : 0));
    CHECK(request_printf("%d %s %5.1f|%c|%lx|", 7, "words", 2.25, 'c', 255UL) == (running ? 19 : 0));
    // More than fit into registers, of both kinds.
    CHECK(request_printf("%d%d%d%d%d%d%d%d", 1, 2, 3, 4, 5, 6, 7, 8) == (running ? 8 : 0));
    CHECK(request_printf("%.0f%.0f%.0f%.0f%.0f%.0f%.0f%.0f%.0f\n", 1., 2., 3., 4., 5., 6., 7., 8., 9.) ==
          (running ? 10 : 0));
    CHECK(request_printf("%s\n", (char *)16) >= 0);
}

static void pools(int running) {
    CHECK(REQUEST(9, MEMPOOL_EXISTS, 77) == (running ? 0 : 9));
    REQUEST(0, CREATE_MEMPOOL, 77, 0, 0, 0);
    CHECK(REQUEST(9, MEMPOOL_EXISTS, 77) == (running ? 1 : 9));
    REQUEST(0, MEMPOOL_ALLOC, 77, ADDRESS(area), 64);
    REQUEST(0, MEMPOOL_ALLOC, 78, ADDRESS(area), 64);
    REQUEST(0, MEMPOOL_FREE, 77, ADDRESS(area + 1));
    REQUEST(0, MOVE_MEMPOOL, 77, 78);
    CHECK(REQUEST(9, MEMPOOL_EXISTS, 77) == (running ? 0 : 9));
    CHECK(REQUEST(9, MEMPOOL_EXISTS, 78) == (running ? 1 : 9));
    REQUEST(0, DESTROY_MEMPOOL, 78);
    REQUEST(0, DESTROY_MEMPOOL, 78);
    CHECK(REQUEST(9, MEMPOOL_EXISTS, 78) == (running ? 0 : 9));
}

int main(void) {
    int running = REQUEST(0, RUNNING_ON_VALGRIND) != 0;
    CHECK(REQUEST(5, 0x7777) == 5);
    CHECK(REQUEST(5, 'X' << 24 | 'Y' << 16) == 5);
    CHECK(REQUEST(5, COUNT_ERRORS) == (running ? 0 : 5));
    printing(running);
    pools(running);
    unsigned long first = REQUEST(0, STACK_REGISTER, ADDRESS(area), ADDRESS(area + 128));
    unsigned long second = REQUEST(0, STACK_REGISTER, ADDRESS(area + 128), ADDRESS(area + 256));
    CHECK(second == first + running);
    REQUEST(0, STACK_CHANGE, first, ADDRESS(area), ADDRESS(area + 64));
    REQUEST(0, STACK_DEREGISTER, first);
    area[0] = 'x';
    REQUEST(0, MAP_IP_TO_SRCLOC, ADDRESS(main), ADDRESS(area));
    CHECK(area[0] == (running ? 0 : 'x'));
    // Of memory nothing is known here.
    CHECK(REQUEST(0, MAKE_MEM_NOACCESS, ADDRESS(area), 8) == 0);
    CHECK(REQUEST(0, CHECK_MEM_IS_DEFINED, ADDRESS(area), 8) == 0);
    CHECK(REQUEST(0, GET_VBITS, ADDRESS(area), ADDRESS(area + 64), 8) == 0);
    CHECK(REQUEST(9, MONITOR_COMMAND, ADDRESS("leak_check summary")) == (running ? 0 : 9));
    CHECK(REQUEST(9, MONITOR_COMMAND, ADDRESS("no such command")) == (running ? 1 : 9));
    unsigned long leaked = 1, dubious = 1, reachable = 1, suppressed = 1;
    REQUEST(0, COUNT_LEAKS, ADDRESS(&leaked), ADDRESS(&dubious), ADDRESS(&reachable), ADDRESS(&suppressed));
    CHECK(leaked + dubious + reachable + suppressed == (running ? 0 : 4));
    // Wild addresses harm nothing.
    REQUEST(0, COUNT_LEAKS, 8, 16, ~0UL, 1UL << 63);
    REQUEST(0, DISCARD_TRANSLATIONS, 0, ~0UL);
    REQUEST(0, MALLOCLIKE_BLOCK, ~0UL, ~0UL);
    REQUEST(0, DO_LEAK_CHECK);
    REQUEST(0, FREELIKE_BLOCK, ~0UL);
    REQUEST(0, MALLOCLIKE_BLOCK, 0, 8);
    REQUEST(0, FREELIKE_BLOCK, 8);
    unsigned long result = 5;
    __asm__ volatile(REQUEST_PREAMBLE "xchgq %%rbx, %%rbx" : "+d"(result) : "a"(8L) : "cc", "memory");
    CHECK(result == 5);
    // The other sequences: no function is replaced, and the one that tests Valgrind's own compiler does nothing.
    unsigned long original = 5;
    __asm__ volatile(REQUEST_PREAMBLE "xchgq %%rcx, %%rcx" : "+a"(original) : : "cc", "memory");
    CHECK(original == (running ? 0 : 5));
    __asm__ volatile(REQUEST_PREAMBLE "xchgq %%rdi, %%rdi" : : : "cc", "memory");
    return SUCCESS();
}
