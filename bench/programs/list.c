// A list of 64-byte blocks that are all live at the end: what the leak scan has to follow.
//
// usage: list BLOCKS
#include <stdio.h>
#include <stdlib.h>

struct item {
    struct item *next;
    char rest[56];
};

static struct item *head;

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 1;
    for (long i = 0; i < count; i++) {
        struct item *item = malloc(sizeof *item);
        if (!item)
            abort();
        item->next = head;
        head = item;
    }
    printf("%ld\n", count);
    return 0;
}
