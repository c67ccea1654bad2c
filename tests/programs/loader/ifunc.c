// build: cc -O2
// build nonpie: cc -O2 -no-pie
// build static: cc -O2 -static
// build staticpie: cc -O2 -static-pie
// Indirect functions of the program itself, called directly and through a pointer.
#include "../guest.h"

static int resolved;
static int chosen(int x) { return x * 3; }
static int other(int x) { return x * 5; }
static int (*resolve(void))(int) {
    resolved++;
    return resolved ? chosen : other;
}
int picked(int) __attribute__((ifunc("resolve")));
static int (*volatile pointer)(int) = picked;

int main(void) {
    CHECK(picked(7) == 21 && pointer(8) == 24 && resolved >= 1);
    char text[100];
    memset(text, 'a', sizeof text);
    text[99] = 0;
    CHECK(strlen(text) == 99 && strchr(text, 'b') == NULL);
    return SUCCESS();
}
