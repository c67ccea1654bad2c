// build: cc -O2
// build static: cc -O2 -static
// build nonpie: cc -O2 -no-pie
// /proc/self/maps: every living address lies in a listed range with the right permissions and name, nothing that the
// program did not map is readable and writable at the same time without a name of its own.
#define _GNU_SOURCE
#include "../guest.h"
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int in_data = 3, in_bss;

static int find(const void *address, char *permissions, char *name) {
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file);
    char line[4600];
    int found = 0;
    uintptr_t last = 0;
    while (fgets(line, sizeof line, file)) {
        uintptr_t start, end;
        char flags[8], path[4200] = "";
        CHECK(sscanf(line, "%lx-%lx %7s %*x %*x:%*x %*u %4199[^\n]", &start, &end, flags, path) >= 3);
        CHECK(start < end && start >= last && start % 4096 == 0);
        last = end;
        if ((uintptr_t)address >= start && (uintptr_t)address < end) {
            found = 1;
            strcpy(permissions, flags);
            strcpy(name, path);
        }
    }
    fclose(file);
    return found;
}

static void show(const char *what, const void *address, const char *program) {
    char permissions[8] = "none", name[4200] = "";
    int found = find(address, permissions, name);
    const char *shown = strcmp(name, program) == 0 ? "the program" : strchr(name, '/') ? strrchr(name, '/') + 1 : name;
    printf("%s: %s %s\n", what, found ? permissions : "not mapped", shown);
}

int main(int argc, char **argv) {
    (void)argc;
    int local = 0;
    char permissions[8], name[4200];
    show("code", (void *)main, argv[0]);
    show("data", &in_data, argv[0]);
    CHECK(find(&in_bss, permissions, name) && strncmp(permissions, "rw", 2) == 0);
    show("stack", &local, argv[0]);
    show("libc or own code", (void *)strtol, argv[0]);
    CHECK(find(malloc(10), permissions, name) && strncmp(permissions, "rw", 2) == 0);
    void *page = mmap(NULL, 12288, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    show("read-only", page, argv[0]);
    mprotect((char *)page + 4096, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    show("everything", (char *)page + 4096, argv[0]);
    show("still read-only", (char *)page + 8192, argv[0]);
    munmap(page, 12288);
    CHECK(!find(page, permissions, name));
    CHECK(!find((void *)8, permissions, name));
    int fd = memfd_create("named", 0);
    CHECK(ftruncate(fd, 4096) == 0);
    show("shared", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), argv[0]);
    return SUCCESS();
}
