// build: cc -O2 -pie
// build nonpie: cc -O2 -no-pie
// build static: cc -O2 -static
// build staticpie: cc -O2 -static-pie
// build joined: cc -O2 -Wl,-z,noseparate-code
// build bigalign: cc -O2 -Wl,-z,max-page-size=0x200000
// build bigalignnonpie: cc -O2 -no-pie -Wl,-z,max-page-size=0x200000
// build now: cc -O2 -Wl,-z,now,-z,relro
// build lazy: cc -O2 -Wl,-z,lazy,-z,norelro
// build execstack: cc -O2 -Wl,-z,execstack
// build low: cc -O2 -static -Wl,-Ttext-segment=0x20000
// build musl: musl-gcc -O2 -static
// build musldynamic: musl-gcc -O2
// build muslpie: musl-gcc -O2 -static-pie
// build clang: clang -O2
// build unoptimised: cc -O0 -g
// args: one two three
// Loads and runs at all, with arguments, environment and the three streams.
#include "../guest.h"
#include <unistd.h>

extern char **environ;
static int zeroed[5000];
static int data[3] = {7, 8, 9};

int main(int argc, char **argv) {
    CHECK(argc == 4 && argv[4] == NULL && environ != NULL && getenv("LC_ALL") != NULL);
    for (int i = 0; i < 5000; i++) CHECK(zeroed[i] == 0);
    data[1]++;
    printf("%s %s %s %d\n", argv[1], argv[2], argv[3], data[0] + data[1] + data[2]);
    fprintf(stderr, "to standard error\n");
    return SUCCESS();
}
