// build: cc -g -O0
// build O3: cc -g -O3
// build clang: clang -g -O3
// A loop clears all but the last element of each row.
#include "../guest.h"

enum { ROWS = 4, COLUMNS = 9 };
static volatile int sink;

static void __attribute__((noinline)) clear(int (*rows)[COLUMNS]) {
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS - 1; j++) rows[i][j] = 0;
}
static void __attribute__((noinline)) look(const int *cell) {
    if (*cell) sink++; //~ UninitCondition 0
}

int main(void) {
    int(*rows)[COLUMNS] = malloc(ROWS * sizeof *rows);
    clear(rows);
    for (int i = 0; i < ROWS; i++) look(&rows[i][COLUMNS - 2]);
    CHECK(sink == 0);
    look(&rows[2][COLUMNS - 1]);
    free(rows);
    return SUCCESS();
}
