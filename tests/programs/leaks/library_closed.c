// build: cc -g -O0 -DPROGRAM {src} -o {out} -ldl
// also: cc -g -O0 -shared -fPIC {src} -o {out}.so
// The root of a library goes with it, and its frames are still named after dlclose.
#include "../guest.h"

#ifdef PROGRAM
#include <dlfcn.h>

int main(int argc, char **argv) {
    char path[4096];
    CHECK(argc == 1 && snprintf(path, sizeof path, "%s.so", argv[0]) < (int)sizeof path);
    void *handle = dlopen(path, RTLD_NOW);
    CHECK(handle != NULL);
    void (*work)(void) = (void (*)(void))dlsym(handle, "work");
    CHECK(work != NULL);
    work();
    CHECK(dlclose(handle) == 0);
    scrub();
    return SUCCESS();
}
#else
static void *root;

void work(void) {
    root = calloc(1, 63); //~ definite 63 1
}
#endif
