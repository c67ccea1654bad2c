// build: cc -g -O0
// build O3: cc -g -O3
// build clang: clang -g -O3
// Valid: a sieve over bools, and a board in bytes of which only the inside is ever set and looked at.
#include "../guest.h"
#include <stdbool.h>

static int __attribute__((noinline)) primes(int limit) {
    bool *composite = calloc((size_t)limit, sizeof *composite);
    int count = 0;
    for (int i = 2; i < limit; i++) {
        if (composite[i]) continue;
        count++;
        for (int k = 2 * i; k < limit; k += i) composite[k] = true;
    }
    free(composite);
    return count;
}

static int __attribute__((noinline)) neighbours(const unsigned char *board, int width, int x, int y) {
    int sum = 0;
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++) sum += board[(y + dy) * width + x + dx] & 1;
    return sum;
}

int main(void) {
    CHECK(primes(1000) == 168);
    enum { W = 12 };
    unsigned char *board = malloc(W * W);
    for (int y = 1; y < W - 1; y++)
        for (int x = 1; x < W - 1; x++) board[y * W + x] = (unsigned char)((x + y) & 1);
    int sum = 0;
    for (int y = 2; y < W - 2; y++)
        for (int x = 2; x < W - 2; x++) sum += neighbours(board, W, x, y);
    CHECK(sum == 288);
    free(board);
    return SUCCESS();
}
