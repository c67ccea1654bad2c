// build: cc -g -O1
// Definedness that requests set, ask for and check, and that announced blocks have.
#include "../guest.h"
#include "../client_requests.h"

static volatile int sink;
static char data[64];

static void __attribute__((noinline)) look(const char *p) {
    if (*(volatile const char *)p == 7) sink++; //~ UninitCondition 0
}
static void __attribute__((noinline)) fine(const char *p) {
    if (*(volatile const char *)p == 7) sink++;
}

int main(void) {
    REQUEST(0, MAKE_MEM_UNDEFINED, ADDRESS(data + 8), 8);
    fine(data + 7);
    fine(data + 16);
    look(data + 8);
    CHECK(REQUEST(0, CHECK_MEM_IS_DEFINED, ADDRESS(data), 8) == 0);
    CHECK(REQUEST(0, CHECK_MEM_IS_DEFINED, ADDRESS(data), 16) == ADDRESS(data + 8)); //~ ClientCheck 0
    CHECK(REQUEST(0, CHECK_MEM_IS_ADDRESSABLE, ADDRESS(data), 16) == 0);
    data[9] = 1;
    fine(data + 9);
    REQUEST(0, MAKE_MEM_DEFINED, ADDRESS(data), 64);
    fine(data + 8);
    char *block = malloc(16);
    // Both in one range are two errors; the lower address is the answer.
    CHECK(REQUEST(0, CHECK_MEM_IS_DEFINED, ADDRESS(block), 17) == ADDRESS(block)); //~ ClientCheck 0
    REQUEST(0, MAKE_MEM_DEFINED_IF_ADDRESSABLE, ADDRESS(block - 4), 24);
    fine(block), fine(block + 15);
    unsigned char bits[8] = {0};
    REQUEST(0, MAKE_MEM_UNDEFINED, ADDRESS(block + 4), 2);
    CHECK(REQUEST(0, GET_VBITS, ADDRESS(block), ADDRESS(bits), 8) == 1);
    CHECK(bits[3] == 0 && bits[4] == 0xff && bits[5] == 0xff && bits[6] == 0);
    bits[4] = 0, bits[0] = 8;
    CHECK(REQUEST(0, SET_VBITS, ADDRESS(block), ADDRESS(bits), 8) == 1);
    fine(block + 4);
    if (block[0] & 1) sink++;
    if (block[0] & 8) sink++; //~ UninitCondition 0
    free(block);
    // Blocks of pools are undefined, unless they are zero.
    char *arena = calloc(1, 128);
    REQUEST(0, CREATE_MEMPOOL, ADDRESS(arena), 0, 0, 0);
    REQUEST(0, CREATE_MEMPOOL, ADDRESS(arena + 1), 0, 1, 0);
    REQUEST(0, MEMPOOL_ALLOC, ADDRESS(arena), ADDRESS(arena + 16), 16);
    look(arena + 16);
    arena[16] = 0;
    fine(arena + 16);
    REQUEST(0, MEMPOOL_ALLOC, ADDRESS(arena + 1), ADDRESS(arena + 16), 16);
    fine(arena + 31);
    REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(data), 8, 0, 0);
    look(data);
    REQUEST(0, RESIZEINPLACE_BLOCK, ADDRESS(data), 8, 16, 0);
    look(data + 15);
    REQUEST(0, FREELIKE_BLOCK, ADDRESS(data), 0);
    REQUEST(0, MAKE_MEM_DEFINED, ADDRESS(data), 64);
    REQUEST(0, DESTROY_MEMPOOL, ADDRESS(arena));
    REQUEST(0, DESTROY_MEMPOOL, ADDRESS(arena + 1));
    free(arena);
    int local = 3;
    REQUEST(0, MAKE_MEM_UNDEFINED, ADDRESS(&local), sizeof local);
    look((char *)&local);
    return SUCCESS();
}
