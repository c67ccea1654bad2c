// build: cc -g -O0 -w
// build O2: cc -g -O2 -w
// build clang: clang -g -O1 -w
// A structure with a flexible array at its end: the allocation forgets the array, or one element of it.
#include "../guest.h"

struct message {
    int length;
    volatile int words[];
};

static struct message *__attribute__((noinline)) make(int count, size_t bytes) {
    struct message *one = malloc(bytes);
    one->length = count;
    for (int i = 0; i < count; i++) one->words[i] = i; //~ InvalidWrite 4
    return one;
}

int main(void) {
    struct message *good = make(5, sizeof *good + 5 * sizeof(int));
    CHECK(good->words[4] == 4);
    struct message *lacks = make(5, 5 * sizeof(int));
    struct message *empty = make(1, sizeof *empty);
    free(good);
    free(lacks);
    free(empty);
    return SUCCESS();
}
