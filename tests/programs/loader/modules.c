// build: cc -O2
// build nonpie: cc -O2 -no-pie
// The dynamic linker's view: loaded objects, symbol lookup by address, unwinding tables.
#define _GNU_SOURCE
#include "../guest.h"
#include <dlfcn.h>
#include <libgen.h>
#include <link.h>

static int found;

static int visit(struct dl_phdr_info *info, size_t size, void *data) {
    int index = (*(int *)data)++;
    char name[300];
    snprintf(name, sizeof name, "%s", info->dlpi_name);
    if (index == 0 || strstr(name, ".so")) printf("object %s\n", basename(name));
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
        ElfW(Addr) start = info->dlpi_addr + phdr->p_vaddr;
        if (phdr->p_type == PT_LOAD && (ElfW(Addr))visit - start < phdr->p_memsz) found += index == 0;
    }
    return size < sizeof(void *);
}

int exported(void) { return 3; }

int main(int argc, char **argv) {
    int count = 0;
    CHECK(dl_iterate_phdr(visit, &count) == 0 && count >= 3 && found == 1);
    Dl_info info;
    CHECK(dladdr((void *)puts, &info) && strstr(info.dli_fname, "libc.so"));
    CHECK(dladdr((void *)main, &info) && strcmp(info.dli_fname, argv[0]) == 0);
    CHECK(dlsym(RTLD_DEFAULT, "strlen") != NULL && dlsym(RTLD_NEXT, "no_such_symbol") == NULL);
    CHECK(dlerror() != NULL);
    CHECK(dlopen("libdoes-not-exist.so", RTLD_NOW) == NULL);
    printf("%s\n", dlerror());
    return argc == 1 ? SUCCESS() : 1;
}
