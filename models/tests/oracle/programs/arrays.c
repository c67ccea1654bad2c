// Rows and columns, strides up and down, sums of vectors.
#include "start.h"

static double a[40][40], b[40][40], c[40][40];
static int row[4096];

static void multiply(void) {
    for (int i = 0; i < 40; i++)
        for (int j = 0; j < 40; j++) {
            double sum = 0;
            for (int k = 0; k < 40; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

void run(void) {
    for (int i = 0; i < 40; i++)
        for (int j = 0; j < 40; j++)
            a[i][j] = b[j][i] = below(100);
    multiply();
    for (int stride = 1; stride < 64; stride *= 2)
        for (int i = 0; i < 4096; i += stride)
            row[i] += stride;
    for (int i = 4095; i >= 0; i--)
        row[i] ^= i;
    int sum = c[3][4];
    for (int i = 0; i < 4096; i++)
        if (row[i] > 2000)
            sum += row[i];
    row[0] = sum;
}
