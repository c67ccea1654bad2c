// Data that compressors find something in: sentences of few words, runs, and what looks random.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t seed = 12345;

static uint32_t next(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static unsigned char *data(size_t bytes) {
    static const char *const words[] = {"block", "of", "memory", "the", "stack", "is", "undefined", "until",
        "written", "a", "register", "holds", "value", "branch", "depends", "on", "nothing", "else"};
    unsigned char *all = malloc(bytes);
    size_t at = 0;
    while (at < bytes) {
        char piece[64];
        size_t size = sizeof piece;
        switch (next() % 16) {
        case 0:
            for (size_t i = 0; i < size; i++)
                piece[i] = (char)next();
            break;
        case 1:
            memset(piece, (int)(next() % 7), size);
            break;
        default:
            size = (size_t)snprintf(piece, sizeof piece, "%s%s", words[next() % 18], next() % 9 ? " " : ".\n");
        }
        if (size > bytes - at) size = bytes - at;
        memcpy(all + at, piece, size);
        at += size;
    }
    return all;
}

static uint32_t sum(const unsigned char *all, size_t bytes) {
    uint32_t sum = 1;
    for (size_t i = 0; i < bytes; i++) sum = sum * 31 + all[i];
    return sum;
}

static void must(int holds, const char *what) {
    if (!holds) {
        printf("failed: %s\n", what);
        exit(1);
    }
}
