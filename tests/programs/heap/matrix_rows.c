// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// A matrix of rows: columns and rows are exchanged, and a row is used after the matrix was freed.
#include "../guest.h"

static volatile float sum;
static volatile int rows = 3, columns = 5;

static float **__attribute__((noinline)) make(void) {
    float **matrix = malloc((size_t)rows * sizeof *matrix);
    for (int i = 0; i < rows; i++) matrix[i] = calloc((size_t)columns, sizeof **matrix);
    return matrix;
}

int main(void) {
    float **matrix = make();
    float *volatile *row = (float *volatile *)matrix;
    volatile float *last = matrix[2];
    last[columns - 1] = 1;
    last[columns] = 2; //~ InvalidWrite 4
    if (row[3]) sum += 1; //~ InvalidRead 8
    for (int i = 0; i < rows; i++) free(matrix[i]);
    free(matrix);
    sum += last[0]; //~ InvalidRead 4
    return SUCCESS();
}
