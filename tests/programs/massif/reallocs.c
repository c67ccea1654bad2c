// Blocks that change their sizes: within what is rounded up, to less, to more, from and to nothing.
// build: cc -g -O0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text;
static size_t length;

__attribute__((noinline)) static void append(size_t more) {
    text = realloc(text, length + more);
    memset(text + length, 'x', more);
    length += more;
}

int main(void) {
    for (int i = 0; i < 60; i++)
        append(7);
    for (int i = 0; i < 40; i++)
        append(1000);
    text = realloc(text, 5000);
    text = realloc(text, 4000);
    text = realloc(text, 4900);
    text = realloc(text, 5000);
    char *other = malloc(0);
    other = realloc(other, 30000);
    other = realloc(other, 10000);
    free(other);
    length = 5000;
    for (int i = 0; i < 90; i++)
        append(2000);
    free(text);
    puts("EXIT-SUCCESS");
}
