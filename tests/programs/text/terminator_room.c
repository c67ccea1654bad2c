// build: cc -g -O0 -fno-builtin
// build O2: cc -g -O2 -fno-builtin
// build clang: clang -g -O1 -fno-builtin
// malloc(strlen(text)) without one for the terminator; a path that is joined in too small a block.
#include "../guest.h"

static char *__attribute__((noinline)) duplicate(const char *text) {
    char *copy = malloc(strlen(text));
    strcpy(copy, text); //~ InvalidWrite 1
    return copy;
}

static char *__attribute__((noinline)) join(const char *folder, const char *name) {
    char *path = malloc(strlen(folder) + strlen(name) + 1);
    strcpy(path, folder);
    strcat(path, "/");
    strcat(path, name); //~ InvalidWrite 1
    return path;
}

int main(void) {
    char *copy = duplicate("sixteen letters.");
    char *path = join("/usr/share", "zone");
    CHECK(memcmp(path, "/usr/share/zone", 15) == 0);
    free(copy), free(path);
    return SUCCESS();
}
