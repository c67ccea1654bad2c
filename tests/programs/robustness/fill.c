// build: cc -O1
// args: 1000
// Runs as many different functions as its argument says: so a code cache can be filled to the byte.
#include "../code/jit.h"
#include "../guest.h"
#include <sys/mman.h>

int main(int argc, char **argv) {
    CHECK(argc == 2);
    size_t count = strtoul(argv[1], NULL, 0);
    unsigned char *code = mmap(NULL, 16 * count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(code != MAP_FAILED);
    for (size_t i = 0; i < count; i++) emit(code + 16 * i, (uint32_t)i);
    CHECK(mprotect(code, 16 * count, PROT_READ | PROT_EXEC) == 0);
    for (size_t i = 0; i < count; i++) CHECK(call(code + 16 * i) == (int)i);
    return SUCCESS();
}
