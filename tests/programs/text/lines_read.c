// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O1
// getline may move its buffer: a pointer to the first line is kept while a longer one is read.
#define _GNU_SOURCE
#include "../guest.h"

static volatile int sink;

int main(void) {
    FILE *file = tmpfile();
    CHECK(file != NULL);
    fputs("short\n", file);
    for (int i = 0; i < 300; i++) fputs("a longer line, ", file);
    fputs("\n", file);
    rewind(file);
    char *line = NULL;
    size_t size = 0;
    CHECK(getline(&line, &size, file) == 6);
    volatile char *first = line;
    sink = first[0];
    CHECK(getline(&line, &size, file) == 4501);
    sink = first[0]; //~ InvalidRead 1
    sink = line[4500];
    free(line);
    fclose(file);
    return SUCCESS();
}
