// build: cc -g -O0 -w
// build O2: cc -g -O2 -w
// Accesses of all widths that begin within a block and end behind it, and such as lie wholly before it.
#include "../guest.h"
#include <stdint.h>

struct __attribute__((packed)) any {
    volatile uint16_t two;
};

int main(void) {
    char *block = malloc(4096 + 5);
    memset(block, 1, 4096 + 5);
    char *end = block + 4096 + 5;
    volatile uint64_t sum = 0;
    sum += *(volatile uint16_t *)(end - 1); //~ InvalidRead 2
    sum += *(volatile uint32_t *)(end - 3); //~ InvalidRead 4
    sum += *(volatile uint64_t *)(end - 7); //~ InvalidRead 8
    *(volatile uint16_t *)(end - 1) = 1; //~ InvalidWrite 2
    *(volatile uint32_t *)(end - 3) = 1; //~ InvalidWrite 4
    *(volatile uint64_t *)(end - 7) = 1; //~ InvalidWrite 8
    sum += *(volatile uint64_t *)(block - 8); //~ InvalidRead 8
    sum += *(volatile uint32_t *)(block - 2); //~ InvalidRead 4
    sum += *(volatile uint64_t *)(end - 8);
    sum += *(volatile uint32_t *)block;
    free(block);
    return SUCCESS();
}
