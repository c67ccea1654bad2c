// build: cc -O2
// build nonpie: cc -O2 -no-pie
// The dynamic linker as the program, with this program as its argument.
#include "../guest.h"
#include <link.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc == 1) {
        const char *linker = "/lib64/ld-linux-x86-64.so.2";
        execl(linker, linker, argv[0], "again", (char *)NULL);
        CHECK(!"exec came back");
    }
    CHECK(argc == 2 && strcmp(argv[1], "again") == 0);
    printf("dynamic section: %d\n", _DYNAMIC[0].d_tag != DT_NULL);
    return SUCCESS();
}
