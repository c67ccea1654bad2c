// build: cc -g -O0
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// An iterator over a hash table keeps the array of buckets that the table has replaced when it grew.
#include "../guest.h"

struct table {
    unsigned long *volatile slots;
    unsigned long size, used;
};

static void __attribute__((noinline)) add(struct table *table, unsigned long key) {
    if (2 * table->used >= table->size) {
        struct table larger = {calloc(2 * table->size, sizeof key), 2 * table->size, 0};
        for (unsigned long i = 0; i < table->size; i++)
            if (table->slots[i]) add(&larger, table->slots[i]);
        free(table->slots);
        *table = larger;
    }
    unsigned long at = key * 0x9e3779b97f4a7c15 % table->size;
    while (table->slots[at]) at = (at + 1) % table->size;
    table->slots[at] = key;
    table->used++;
}

int main(void) {
    struct table table = {calloc(8, 8), 8, 0};
    for (unsigned long key = 1; key < 4; key++) add(&table, key);
    unsigned long *volatile slots = table.slots;
    unsigned long sum = 0;
    for (int i = 0; i < 8; i++) {
        unsigned long key = ((volatile unsigned long *)slots)[i]; //~ InvalidRead 8
        if (i == 0)
            for (unsigned long other = 10; other < 14; other++) add(&table, other);
        sum += key;
    }
    CHECK(table.used == 7 && (sum || 1));
    free(table.slots);
    return SUCCESS();
}
