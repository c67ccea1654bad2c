// Machine code for the programs about code that changes: `mov eax, VALUE; ret`.
#include <stdint.h>
#include <string.h>
typedef int (*function)(void);
static inline void emit(void *at, uint32_t value) {
    unsigned char code[6] = {0xb8, 0, 0, 0, 0, 0xc3};
    memcpy(code + 1, &value, 4);
    memcpy(at, code, 6);
}
static inline int call(void *at) { return ((function)at)(); }
