// Valgrind's client requests for guest programs, without its headers: the numbers and the sequence are its public
// interface. Natively every request answers its default.
#ifndef CLIENT_REQUESTS_H
#define CLIENT_REQUESTS_H
#include <stdarg.h>

enum {
    RUNNING_ON_VALGRIND = 0x1001,
    DISCARD_TRANSLATIONS = 0x1002,
    CLIENT_CALL0 = 0x1101,
    CLIENT_CALL1 = 0x1102,
    CLIENT_CALL2 = 0x1103,
    CLIENT_CALL3 = 0x1104,
    COUNT_ERRORS = 0x1201,
    MONITOR_COMMAND = 0x1202,
    MALLOCLIKE_BLOCK = 0x1301,
    FREELIKE_BLOCK = 0x1302,
    CREATE_MEMPOOL = 0x1303,
    DESTROY_MEMPOOL = 0x1304,
    MEMPOOL_ALLOC = 0x1305,
    MEMPOOL_FREE = 0x1306,
    MEMPOOL_TRIM = 0x1307,
    MOVE_MEMPOOL = 0x1308,
    MEMPOOL_CHANGE = 0x1309,
    MEMPOOL_EXISTS = 0x130a,
    RESIZEINPLACE_BLOCK = 0x130b,
    PRINTF_BY_REFERENCE = 0x1403,
    PRINTF_BACKTRACE_BY_REFERENCE = 0x1404,
    STACK_REGISTER = 0x1501,
    STACK_DEREGISTER = 0x1502,
    STACK_CHANGE = 0x1503,
    MAP_IP_TO_SRCLOC = 0x1701,
    CHANGE_ERR_DISABLEMENT = 0x1801,
    MAKE_MEM_NOACCESS = 'M' << 24 | 'C' << 16,
    MAKE_MEM_UNDEFINED,
    MAKE_MEM_DEFINED,
    DISCARD_BLOCK,
    CHECK_MEM_IS_ADDRESSABLE,
    CHECK_MEM_IS_DEFINED,
    DO_LEAK_CHECK,
    COUNT_LEAKS,
    GET_VBITS,
    SET_VBITS,
    CREATE_BLOCK,
    MAKE_MEM_DEFINED_IF_ADDRESSABLE,
    COUNT_LEAK_BLOCKS,
    ENABLE_ADDR_ERROR_REPORTING_IN_RANGE,
    DISABLE_ADDR_ERROR_REPORTING_IN_RANGE,
    DUMP_STATS = 'C' << 24 | 'T' << 16,
    ZERO_STATS,
    TOGGLE_COLLECT,
    DUMP_STATS_AT,
    START_INSTRUMENTATION,
    STOP_INSTRUMENTATION,
};

#define REQUEST_PREAMBLE "rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi\n\t"

// Inlined, so that the request is at the caller's line.
#define REQUEST(default, ...)                                                                \
    ({                                                                                       \
        volatile unsigned long request_words[6] = {__VA_ARGS__};                             \
        unsigned long request_result = (default);                                            \
        __asm__ volatile(REQUEST_PREAMBLE "xchgq %%rbx, %%rbx"                               \
                         : "+d"(request_result)                                              \
                         : "a"(request_words)                                                \
                         : "cc", "memory");                                                  \
        request_result;                                                                      \
    })

#define ADDRESS(pointer) ((unsigned long)(pointer))

static inline __attribute__((unused)) int request_printf(const char *format, ...) {
    va_list list;
    va_start(list, format);
    int printed = (int)REQUEST(0, PRINTF_BY_REFERENCE, ADDRESS(format), ADDRESS(&list));
    va_end(list);
    return printed;
}
#endif
