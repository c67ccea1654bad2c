// build: cc -O2 -DPROGRAM {src} {out}.so -Wl,-rpath,$ORIGIN -o {out}
// also: cc -O2 -shared -fPIC {src} -Wl,-soname,init_order.so -o {out}.so
// Constructors of libraries and program with their arguments, destructors and exit handlers in order.
#include "../guest.h"

#ifdef PROGRAM
extern int in_library(int);
static int constructed;

static void __attribute__((constructor(201))) second(int argc, char **argv, char **envp) {
    CHECK(argc == 1 && argv[0] && envp);
    printf("program constructor 201\n");
    constructed = in_library(1);
}
static void __attribute__((constructor(101))) first(void) { printf("program constructor 101\n"); }
static void __attribute__((destructor)) after(void) { printf("program destructor\nEXIT-SUCCESS\n"); }
static void handler_a(void) { printf("exit handler a\n"); }
static void handler_b(void) { printf("exit handler b\n"); }

int main(void) {
    CHECK(constructed == 43);
    atexit(handler_a);
    atexit(handler_b);
    printf("main\n");
    return 0;
}
#else
static int state;
static void __attribute__((constructor)) library_constructor(void) {
    printf("library constructor\n");
    state = 42;
}
int in_library(int add) { return state + add; }
#endif
