// build: cc -g -O1 -w
// Memory that the kernel is asked to use and that is not the program's: behind blocks, freed, not mapped.
#define _GNU_SOURCE
#include "../guest.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

static int null;

static void blocks(void) {
    char *block = calloc(1, 16);
    CHECK(write(null, block, 16) == 16);
    CHECK(write(null, block, 17) == 17); //~ SyscallParam 0
    CHECK(write(null, block - 1, 4) == 4); //~ SyscallParam 0
    int zero = open("/dev/zero", O_RDONLY);
    CHECK(read(zero, block, 16) == 16);
    CHECK(read(null, block + 8, 16) == 0); //~ SyscallParam 0
    close(zero);
    struct iovec vector[2] = {{block, 16}, {block + 16, 8}};
    CHECK(writev(null, vector, 2) == 24); //~ SyscallParam 0
    struct stat *status = malloc(sizeof *status - 8);
    (void)!syscall(SYS_fstat, null, status); //~ SyscallParam 0
    free(status);
    char *name = malloc(9);
    memcpy(name, "/dev/null", 9);
    (void)!access(name, R_OK); //~ SyscallParam 0
    free(name);
    free(block);
    CHECK(write(null, block, 16) == 16); //~ SyscallParam 0
    // Nothing is read or written.
    CHECK(write(null, block, 0) == 0);
}

static void elsewhere(void) {
    // /dev/null looks at nothing.
    CHECK(write(null, NULL, 4) == 4); //~ SyscallParam 0
    char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && munmap(pages + 4096, 4096) == 0);
    CHECK(write(null, pages, 4096) == 4096);
    CHECK(write(null, pages + 4090, 10) == 10); //~ SyscallParam 0
    CHECK(write(null, pages + 8192, 4096) == 4096);
    CHECK(write(null, pages + 4096, 1) == 1); //~ SyscallParam 0
    CHECK(munmap(pages, 3 * 4096) == 0);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, (void *)8, NULL) != 0); //~ SyscallParam 0
    CHECK(syscall(SYS_openat, AT_FDCWD, (void *)16, O_RDONLY) < 0); //~ SyscallParam 0
    // Two pages that are next to each other are one range, whoever mapped them.
    pages = mmap(NULL, 2 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && mprotect(pages, 4096, PROT_READ | PROT_WRITE) == 0);
    CHECK(write(null, pages, 2 * 4096) == 2 * 4096);
    char local[64] = {0};
    CHECK(write(null, local, sizeof local) == sizeof local);
    static char data[5000];
    CHECK(write(null, data, sizeof data) == sizeof data);
}

int main(void) {
    null = open("/dev/null", O_RDWR);
    blocks();
    elsewhere();
    return SUCCESS();
}
