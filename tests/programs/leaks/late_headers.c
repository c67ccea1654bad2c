// build: cc -g -O0 -D_GNU_SOURCE -DPROGRAM {src} -ldl -o {out}
// also: cc -g -O0 -shared -fPIC {src} -o {out}.so
// A library whose program headers lie far behind its beginning, as tools that rewrite binaries leave them: its functions are
// known as others are.
#include "../guest.h"
#include <elf.h>

#define FAR (2 << 20)
#define MARK "headers follow"
struct place {
    char before[FAR];
    char mark[16];
    char headers[64 * sizeof(Elf64_Phdr)];
};

#ifdef PROGRAM
#include <dlfcn.h>

static char file[4 * FAR];

// Writes a copy of the library with its headers in the place that it has for them.
static void move_headers(const char *from, const char *to) {
    FILE *in = fopen(from, "rb");
    CHECK(in);
    size_t bytes = fread(file, 1, sizeof file, in);
    fclose(in);
    char *mark = memmem(file + FAR, bytes - FAR, MARK, sizeof MARK);
    CHECK(mark);
    Elf64_Ehdr *head = (Elf64_Ehdr *)file;
    char *headers = mark + sizeof((struct place *)0)->mark;
    memcpy(headers, file + head->e_phoff, head->e_phnum * sizeof(Elf64_Phdr));
    head->e_phoff = (Elf64_Off)(headers - file);
    FILE *out = fopen(to, "wb");
    CHECK(out && fwrite(file, 1, bytes, out) == bytes && fclose(out) == 0);
}

int main(int argc, char **argv) {
    (void)argc;
    char path[4096];
    snprintf(path, sizeof path, "%s.so", argv[0]);
    move_headers(path, "late_headers.so");
    void *library = dlopen("./late_headers.so", RTLD_NOW); //~ any
    CHECK(library);
    void (*lose)(void) = (void (*)(void))dlsym(library, "lose");
    CHECK(lose);
    lose();
    return SUCCESS();
}
#else
const struct place place __attribute__((aligned(16))) = {.mark = MARK};
static char *volatile kept;

void lose(void) {
    kept = malloc(72); //~ definite 72 1
    kept = NULL;
}
#endif
