// build: cc -g -O0 -DPROGRAM {src} -o {out} -ldl
// also: cc -g -O0 -shared -fPIC {src} -o {out}.so
// A library that is loaded at run time loses memory, keeps memory, and holds a root; it stays loaded.
#include "../guest.h"

#ifdef PROGRAM
#include <dlfcn.h>

int main(int argc, char **argv) {
    char path[4096];
    CHECK(argc == 1 && snprintf(path, sizeof path, "%s.so", argv[0]) < (int)sizeof path);
    void *handle = dlopen(path, RTLD_NOW); //~ any
    CHECK(handle != NULL);
    void (*work)(void) = (void (*)(void))dlsym(handle, "work");
    CHECK(work != NULL);
    work();
    handle = NULL;
    scrub();
    return SUCCESS();
}
#else
static void *root;

void work(void) {
    void *volatile p = calloc(1, 61); //~ definite 61 1
    p = NULL;
    root = calloc(1, 62); //~ reachable 62 1
}
#endif
