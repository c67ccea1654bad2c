// build: cc -g -O1
// build O2: cc -g -O2
// also: cc -g -O1 -shared -fPIC -DLIBRARY {src} -o {out}.so
// Valid: the dynamic linker's copies of a library's name lie at every place of a page, also at its end, where its own
// string functions read what is before them.
#include "../guest.h"

#ifdef LIBRARY
int library_number(void) { return 5; }
#else
#include <dlfcn.h>

int main(int argc, char **argv) {
    (void)argc;
    char path[4096];
    for (int i = 0; i < 240; i++) {
        // Of another length each time, which is one of another size in the heap.
        int slashes = i % 80;
        memset(path, '/', (size_t)slashes);
        snprintf(path + slashes, sizeof path - (size_t)slashes, "%s.so", argv[0]);
        void *library = dlopen(path, RTLD_NOW);
        CHECK(library != NULL);
        int (*number)(void) = (int (*)(void))dlsym(library, "library_number");
        CHECK(number() == 5);
        CHECK(dlclose(library) == 0);
        // The next name will lie elsewhere.
        for (int k = 0; k < 5; k++) free(malloc(strlen(path) + 1));
    }
    return SUCCESS();
}
#endif
