// build: cc -g -O0
// build O2: cc -g -O2 -fno-builtin
// also: cc -g -O1 -shared -fPIC -DLIBRARY {src} -o {out}.so
// A library that is loaded on the way returns a block that its own function has freed.
#include "../guest.h"

#ifdef LIBRARY
static int *block;
static volatile int uses;
int *library_make(int value) {
    block = malloc(2 * sizeof *block);
    block[0] = value;
    return block;
}
void library_drop(void) { free(block); }
int library_peek(int undefined) {
    int use = undefined ? block[1] : block[0];
    if (use > 3) uses++; //~ UninitCondition 0
    return uses;
}
#else
#include <dlfcn.h>
static volatile int sink;

int main(int argc, char **argv) {
    (void)argc;
    char path[4096];
    snprintf(path, sizeof path, "%s.so", argv[0]);
    void *library = dlopen(path, RTLD_NOW);
    CHECK(library != NULL);
    int *(*make)(int) = (int *(*)(int))dlsym(library, "library_make");
    void (*drop)(void) = (void (*)(void))dlsym(library, "library_drop");
    int (*peek)(int) = (int (*)(int))dlsym(library, "library_peek");
    CHECK(make && drop && peek);
    volatile int *made = make(3);
    CHECK(peek(0) == 0);
    sink = peek(1);
    drop();
    sink = made[0]; //~ InvalidRead 4
    CHECK(dlclose(library) == 0);
    return SUCCESS();
}
#endif
