// build: cc -g -O0 -w
// build O2: cc -g -O2 -w -fno-builtin
// build clang: clang -g -O1 -w -fno-builtin
// A pointer into a buffer is kept while the buffer grows by realloc.
#include "../guest.h"

struct buffer {
    char *data;
    size_t used, size;
};

static void __attribute__((noinline)) put(struct buffer *buffer, char c) {
    if (buffer->used == buffer->size) {
        buffer->size = buffer->size ? 2 * buffer->size : 8;
        buffer->data = realloc(buffer->data, buffer->size);
    }
    buffer->data[buffer->used++] = c;
}

int main(void) {
    struct buffer buffer = {NULL, 0, 0};
    for (char c = 'a'; c < 'g'; c++) put(&buffer, c);
    volatile char *word = buffer.data + 2, *end = buffer.data + 6;
    CHECK(*word == 'c');
    for (char c = 'g'; c < 'p'; c++) put(&buffer, c);
    char first = *word; //~ InvalidRead 1
    *end = 0; //~ InvalidWrite 1
    CHECK(buffer.data[2] == 'c' && (first || 1));
    free(buffer.data);
    return SUCCESS();
}
