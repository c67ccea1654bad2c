// build: cc -g -O0 -fno-builtin
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// Strings in blocks that were never set: each function decides by what happens to lie there.
#include "../guest.h"

static volatile long sink;
static char out[64];

// Undefined but for its last byte.
static char *unset(void) {
    char *block = malloc(16);
    block[15] = 0;
    return block;
}

int main(void) {
    char *text = unset(), *other = unset();
    sink = (long)strlen(text); //~ UninitCondition 0
    sink = (long)strnlen(text, 8); //~ UninitCondition 0
    sink = strcmp(text, "x"); //~ UninitCondition 0
    sink = strncmp(text, other, 3); //~ UninitCondition 0
    sink = (long)strchr(text, 'x'); //~ UninitCondition 0
    sink = (long)strrchr(text, 'x'); //~ UninitCondition 0
    sink = (long)memchr(text, 'x', 10); //~ UninitCondition 0
    sink = (long)strstr(text, "x"); //~ UninitCondition 0
    sink = (long)strspn(text, "x"); //~ UninitCondition 0
    sink = (long)strcspn(text, "x"); //~ UninitCondition 0
    sink = (long)strpbrk(text, "x"); //~ UninitCondition 0
    strcpy(out, text); //~ UninitCondition 0
    strncpy(out, other, 5); //~ UninitCondition 0
    strcpy(out, "begins ");
    strcat(out, text); //~ UninitCondition 0
    strcpy(out, "begins ");
    strncat(out, text, 4); //~ UninitCondition 0
    strcat(other, "x"); //~ UninitCondition 0
    // What is only moved is no error, nor what a difference comes before.
    memcpy(out, unset(), 16);
    text[0] = 'a';
    CHECK(strcmp(text, "b") != 0 && memcmp(text, "bcdefg", 6) != 0);
    text[1] = 0;
    CHECK(strlen(text) == 1 && strchr(text, 'b') == NULL);
    free(text), free(other);
    return SUCCESS();
}
