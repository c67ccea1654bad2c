// build: cc -g -O0 -w
// build O2: cc -g -O2 -w -fno-builtin
// build clang: clang -g -O2 -w -fno-builtin
// An error path frees what the caller frees, too; and two structures that own the same string by mistake.
#include "../guest.h"

struct person {
    char *name;
    int age;
};

static int __attribute__((noinline)) parse(char *line) {
    if (line[0] == '#') {
        free(line);
        return -1;
    }
    return 0;
}

static void __attribute__((noinline)) destroy(struct person *person) {
    free(person->name); //~ InvalidFree 0
    free(person);
}

int main(void) {
    char *line = strdup("# a comment");
    if (parse(line) < 0) {
        free(line); //~ InvalidFree 0
    }
    struct person *one = malloc(sizeof *one), *two = malloc(sizeof *two);
    one->name = strdup("Ada");
    one->age = 36;
    *two = *one;
    destroy(one);
    destroy(two);
    return SUCCESS();
}
