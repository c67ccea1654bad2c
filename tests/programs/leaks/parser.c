// build: cc -g -O0
// The shape of a small real bug: a parser forgets a table on its error path, and a cache keeps what it needs.
#include "../guest.h"

struct entry {
    char *key;
    struct entry *next;
};

static struct entry *cache;

static struct entry *add(struct entry *list, const char *key) {
    struct entry *entry = malloc(sizeof *entry); //~ definite 16+34 1 //~ indirect 16 1 //~ reachable 16 1
    entry->key = strdup(key); //~ indirect 18 2 //~ reachable 6 1
    entry->next = list;
    return entry;
}

static struct entry *parse(const char *text) {
    struct entry *list = NULL;
    for (; *text; text++) {
        if (*text == '!') return NULL;
        list = add(list, "a string");
    }
    return list;
}

int main(void) {
    cache = add(NULL, "cache");
    CHECK(parse("ab!") == NULL);
    scrub();
    return SUCCESS();
}
