// build: cc -O2
// args: --flag=value  x
// env: GUEST_VARIABLE=with = and spaces
// Environment and arguments: order, changes, the memory they lie in, program names.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>

extern char **environ;

int main(int argc, char **argv, char **envp) {
    CHECK(argc == 3 && envp == environ);
    printf("%s|%s|%s\n", argv[1], argv[2], getenv("GUEST_VARIABLE"));
    for (char **entry = environ; *entry; entry++) puts(*entry);
    CHECK(strcmp(program_invocation_short_name, "environment") == 0);
    CHECK(argv[0] + strlen(argv[0]) + 1 == argv[1] && argv[1] + strlen(argv[1]) + 1 == argv[2]);
    CHECK(setenv("NEW", "1", 1) == 0 && strcmp(getenv("NEW"), "1") == 0);
    CHECK(unsetenv("GUEST_VARIABLE") == 0 && !getenv("GUEST_VARIABLE"));
    CHECK(!getenv("LD_PRELOAD"));
    argv[1][0] = '#';
    FILE *file = fopen("/proc/self/cmdline", "r");
    char text[4096];
    size_t size = fread(text, 1, sizeof text, file);
    size_t first = strlen(text) + 1;
    CHECK(size > first && text[first] == '#' && strcmp(text + first + strlen(text + first) + 1, "x") == 0);
    return SUCCESS();
}
