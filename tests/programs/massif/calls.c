// Calls that allocate in other ways, allocate nothing, or fail. Not here: a realloc that fails, whose block massif takes for
// freed although it is still there.
// build: cc -g -O0 -w
#define _GNU_SOURCE
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    char *block = malloc(100);
    block = realloc(block, 0);
    block = malloc(160);
    block = realloc(block, 160);
    volatile size_t much = (size_t)1 << 40;
    if (malloc(much << 22) != NULL || calloc(much, much) != NULL)
        return 1;
    block = realloc(block, 320);
    free(NULL);
    char *copy = strdup("a copy of this text"), *number = NULL;
    if (asprintf(&number, "%d", 42) != 2)
        return 1;
    void *array = reallocarray(NULL, 10, 64);
    array = reallocarray(array, 20, 64);
    array = realloc(array, 1279);
    free(array);
    free(copy);
    free(number);
    free(calloc(0, 10));
    void *usable = malloc(48);
    if (malloc_usable_size(usable) < 48)
        return 1;
    free(usable);
    FILE *file = fopen("/proc/self/status", "r");
    char line[100];
    if (file == NULL || fgets(line, sizeof line, file) == NULL)
        return 1;
    fclose(file);
    free(block);
    puts("EXIT-SUCCESS");
}
