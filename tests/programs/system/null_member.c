// build: cc -g -O0
// build O1: cc -g -O1
// build clang: clang -g -O0
// ends: signal 11
// A search that finds nothing gives a null pointer, and a member far behind it is written.
#include "../guest.h"

struct entry {
    char name[56];
    volatile long uses;
};
static struct entry entries[3] = {{"one", 1}, {"two", 2}, {"three", 3}};

static struct entry *__attribute__((noinline)) find(const char *name) {
    for (int i = 0; i < 3; i++)
        if (strcmp(entries[i].name, name) == 0) return &entries[i];
    return NULL;
}

int main(void) {
    struct entry *two = find("two"), *four = find("four");
    two->uses = 5;
    CHECK(entries[1].uses == 5 && malloc(1) != NULL);
    four->uses = 6; //~ InvalidWrite 8 //~ FatalSignal 0
    return SUCCESS();
}
