// build: cc -g -O1 -w
// Memory that requests take from the program and give it back: of the heap, of data, of a mapping; blocks and pools with red
// zones; what is described, ignored, and not told of.
#include "../guest.h"
#include "../client_requests.h"
#include <fcntl.h>
#include <sys/mman.h>

static volatile char sink;
static char data[256];
static int null;

#define read_byte(p) (sink = *(volatile const char *)(p))

static void ranges(void) {
    char *block = calloc(1, 64);
    CHECK(REQUEST(0, MAKE_MEM_NOACCESS, ADDRESS(block + 16), 16) == ~0UL);
    sink = block[15];
    sink = block[16]; //~ InvalidRead 1
    sink = block[31]; //~ InvalidRead 1
    *(volatile long *)(block + 24) = 1; //~ InvalidWrite 8
    sink = block[32];
    memcpy(data, block + 40, 8);
    // What is marked stays so, whatever was tried.
    read_byte(block + 24); //~ InvalidRead 1
    CHECK(REQUEST(0, MAKE_MEM_DEFINED, ADDRESS(block + 16), 8) == ~0UL);
    sink = block[16];
    sink = block[24]; //~ InvalidRead 1
    CHECK(REQUEST(0, MAKE_MEM_UNDEFINED, ADDRESS(block + 24), 8) == ~0UL);
    sink = block[24];
    // A block of the heap that is new is no old one's.
    REQUEST(0, MAKE_MEM_NOACCESS, ADDRESS(block), 64);
    char *longer = realloc(block, 128);
    sink = longer[100];
    sink = longer[3]; //~ InvalidRead 1
    free(longer);
    char *data_byte = data + 100;
    REQUEST(0, MAKE_MEM_NOACCESS, ADDRESS(data_byte), 4);
    sink = data_byte[-1], sink = data_byte[4];
    sink = data_byte[3]; //~ InvalidRead 1
    REQUEST(0, MAKE_MEM_DEFINED_IF_ADDRESSABLE, ADDRESS(data), sizeof data);
    sink = data_byte[3]; //~ InvalidRead 1
    CHECK(write(null, data, 101) == 101); //~ SyscallParam 0
    REQUEST(0, MAKE_MEM_DEFINED, ADDRESS(data_byte), 4);
    sink = data_byte[3];
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUEST(0, MAKE_MEM_NOACCESS, ADDRESS(page), 4096);
    sink = page[4095]; //~ InvalidRead 1
    memset(data, 0, 8);
    page = mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    sink = page[4095];
    munmap(page, 4096);
}

static void checks(void) {
    char *block = calloc(1, 16);
    CHECK(REQUEST(0, CHECK_MEM_IS_ADDRESSABLE, ADDRESS(block), 16) == 0);
    CHECK(REQUEST(0, CHECK_MEM_IS_ADDRESSABLE, ADDRESS(block), 17) == ADDRESS(block + 16)); //~ ClientCheck 0
    CHECK(REQUEST(0, CHECK_MEM_IS_DEFINED, ADDRESS(block - 2), 10) == ADDRESS(block - 2)); //~ ClientCheck 0
    CHECK(REQUEST(0, CHECK_MEM_IS_DEFINED, ADDRESS(data), sizeof data) == 0);
    CHECK(REQUEST(0, CHECK_MEM_IS_DEFINED, 4096, 8) == 4096); //~ ClientCheck 0
    char bits[8];
    CHECK(REQUEST(0, GET_VBITS, ADDRESS(block + 12), ADDRESS(bits), 8) == 3);
    CHECK(REQUEST(0, GET_VBITS, ADDRESS(block), ADDRESS(bits), 8) == 1 && bits[7] == 0);
    free(block);
}

static void pools(void) {
    char *arena = calloc(1, 256);
    REQUEST(0, MAKE_MEM_NOACCESS, ADDRESS(arena), 256);
    REQUEST(0, CREATE_MEMPOOL, ADDRESS(arena), 8, 1, 0);
    REQUEST(0, MEMPOOL_ALLOC, ADDRESS(arena), ADDRESS(arena + 32), 32);
    sink = arena[32], sink = arena[63];
    read_byte(arena + 64); //~ InvalidRead 1
    read_byte(arena + 31); //~ InvalidRead 1
    REQUEST(0, MEMPOOL_ALLOC, ADDRESS(arena), ADDRESS(arena + 128), 32);
    REQUEST(0, MEMPOOL_TRIM, ADDRESS(arena), ADDRESS(arena), 144);
    sink = arena[143];
    read_byte(arena + 144); //~ InvalidRead 1
    REQUEST(0, MEMPOOL_FREE, ADDRESS(arena), ADDRESS(arena + 32));
    read_byte(arena + 32); //~ InvalidRead 1
    sink = REQUEST(0, MEMPOOL_FREE, ADDRESS(arena), ADDRESS(arena + 32)); //~ InvalidFree 0
    sink = REQUEST(0, MEMPOOL_FREE, ADDRESS(data), ADDRESS(arena + 32)); //~ InvalidMemPool 0
    sink = REQUEST(0, MEMPOOL_ALLOC, ADDRESS(data), ADDRESS(arena + 32), 8); //~ InvalidMemPool 0
    sink = REQUEST(0, MEMPOOL_TRIM, ADDRESS(data), 0, 8); //~ InvalidMemPool 0
    sink = REQUEST(0, MOVE_MEMPOOL, ADDRESS(data), 8); //~ InvalidMemPool 0
    sink = REQUEST(0, MEMPOOL_CHANGE, ADDRESS(arena), 8, 16, 8); //~ InvalidFree 0
    REQUEST(0, DESTROY_MEMPOOL, ADDRESS(arena));
    read_byte(arena + 130); //~ InvalidRead 1
    sink = REQUEST(0, DESTROY_MEMPOOL, ADDRESS(arena)); //~ InvalidMemPool 0
    free(arena);
    char *used = malloc(256);
    for (int i = 0; i < 256; i++) used[i] = 1;
    free(used);
}

static void blocks(void) {
    char *memory = data + 32;
    REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(memory), 16, 8, 1);
    sink = memory[15];
    read_byte(memory + 16); //~ InvalidRead 1
    read_byte(memory - 1); //~ InvalidRead 1
    REQUEST(0, RESIZEINPLACE_BLOCK, ADDRESS(memory), 16, 20, 8);
    memory[19] = 1;
    read_byte(memory + 20); //~ InvalidRead 1
    REQUEST(0, RESIZEINPLACE_BLOCK, ADDRESS(memory), 20, 4, 8);
    read_byte(memory + 4); //~ InvalidRead 1
    sink = REQUEST(0, RESIZEINPLACE_BLOCK, ADDRESS(memory), 20, 4, 8); //~ InvalidFree 0
    REQUEST(0, FREELIKE_BLOCK, ADDRESS(memory), 8);
    read_byte(memory); //~ InvalidRead 1
    sink = REQUEST(0, FREELIKE_BLOCK, ADDRESS(memory), 8); //~ InvalidFree 0
    REQUEST(0, MAKE_MEM_DEFINED, ADDRESS(data), sizeof data);
}

static void silence(void) {
    unsigned long before = REQUEST(0, COUNT_ERRORS);
    CHECK(before > 30);
    char *block = malloc(8);
    REQUEST(0, DISABLE_ADDR_ERROR_REPORTING_IN_RANGE, ADDRESS(block + 8), 4);
    read_byte(block + 8);
    read_byte(block + 12); //~ InvalidRead 1
    REQUEST(0, ENABLE_ADDR_ERROR_REPORTING_IN_RANGE, ADDRESS(block + 8), 4);
    read_byte(block + 9); //~ InvalidRead 1
    CHECK(REQUEST(0, COUNT_ERRORS) == before + 2);
    REQUEST(0, CHANGE_ERR_DISABLEMENT, 1);
    REQUEST(0, CHANGE_ERR_DISABLEMENT, 1);
    read_byte(block + 8);
    REQUEST(0, CHANGE_ERR_DISABLEMENT, ~0UL);
    read_byte(block + 8);
    CHECK(write(null, block + 8, 4) == 4);
    REQUEST(0, CHANGE_ERR_DISABLEMENT, ~0UL);
    CHECK(REQUEST(0, COUNT_ERRORS) == before + 2);
    read_byte(block + 8); //~ InvalidRead 1
    free(block);
}

static void names(void) {
    unsigned long first = REQUEST(0, CREATE_BLOCK, ADDRESS(data), 16, ADDRESS("table"));
    unsigned long second = REQUEST(0, CREATE_BLOCK, ADDRESS(data + 16), 16, ADDRESS("other table"));
    CHECK(second == first + 1);
    CHECK(REQUEST(0, CREATE_BLOCK, 0, 16, ADDRESS("none")) == ~0UL);
    REQUEST(0, MAKE_MEM_NOACCESS, ADDRESS(data), 32);
    read_byte(data + 20); //~ InvalidRead 1
    CHECK(REQUEST(9, DISCARD_BLOCK, second) == 0);
    CHECK(REQUEST(9, DISCARD_BLOCK, second) == 1);
    CHECK(REQUEST(9, DISCARD_BLOCK, 1000) == 1);
    read_byte(data + 21); //~ InvalidRead 1
    REQUEST(0, MAKE_MEM_DEFINED, ADDRESS(data), 32);
}

int main(void) {
    null = open("/dev/null", O_RDWR);
    ranges();
    checks();
    pools();
    blocks();
    silence();
    names();
    return SUCCESS();
}
