// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// A pool of fixed cells that tells of its blocks by client requests: a cell is used after it went back to the pool.
#include "../client_requests.h"
#include "../guest.h"

enum { CELL = 48, GAP = 16, CELLS = 8 };
static char *area;
static int used;

static void *__attribute__((noinline)) take(void) {
    char *cell = area + used++ * CELL + GAP;
    REQUEST(0, MALLOCLIKE_BLOCK, ADDRESS(cell), CELL - GAP, GAP, 0);
    return cell;
}

static void __attribute__((noinline)) give(void *cell) { REQUEST(0, FREELIKE_BLOCK, ADDRESS(cell), GAP); } //~ InvalidFree 0

int main(void) {
    area = malloc(CELLS * CELL + GAP);
    REQUEST(0, MAKE_MEM_NOACCESS, ADDRESS(area), CELLS * CELL + GAP);
    volatile long *a = take(), *b = take();
    a[0] = 1, b[0] = 2, a[3] = 3;
    a[4] = 4; //~ InvalidWrite 8
    CHECK(a[0] == 1 && b[0] == 2);
    give((void *)a);
    long gone = a[0]; //~ InvalidRead 8
    (void)gone;
    give((void *)a);
    give((void *)b);
    free(area);
    return SUCCESS();
}
