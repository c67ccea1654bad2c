// build: cc -g -O0
// build O3: cc -g -O3
// build clang: clang -g -O2
// Valid: a hash table over whole structures, whose padding was cleared before they were filled.
#include "../guest.h"
#include <stdint.h>

struct key {
    char kind;
    int number;
    char name[10];
};
static struct { struct key key; int count; } table[64];

static uint64_t __attribute__((noinline)) hash(const void *data, size_t size) {
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < size; i++) h = (h ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
    return h ^ h >> 29;
}
static int *__attribute__((noinline)) count(const struct key *key) {
    for (uint64_t at = hash(key, sizeof *key);; at++) {
        if (table[at % 64].count == 0) memcpy(&table[at % 64].key, key, sizeof *key);
        if (memcmp(&table[at % 64].key, key, sizeof *key) == 0) return &table[at % 64].count;
    }
}

int main(void) {
    for (int i = 0; i < 200; i++) {
        struct key *key = malloc(sizeof *key);
        memset(key, 0, sizeof *key);
        key->kind = (char)(i % 2), key->number = i % 5;
        snprintf(key->name, sizeof key->name, "n%d", i % 3);
        ++*count(key);
        free(key);
    }
    int used = 0, sum = 0;
    for (int i = 0; i < 64; i++) used += table[i].count != 0, sum += table[i].count;
    CHECK(used == 30 && sum == 200);
    return SUCCESS();
}
