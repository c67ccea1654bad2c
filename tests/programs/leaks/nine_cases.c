// build: cc -g -O0
// build static: cc -g -O0 -static
// The nine ways in which a root may or may not lead to two blocks. `interior` stands for a pointer that is not
// the start of a block.
#include "../guest.h"

static void *root1, *root2, *root5, *root6, *root7, *root8;

static char *interior(void *block) { return (char *)block + 4; }

static void one(void) {
    root1 = calloc(1, 101); //~ reachable 101 1
}

static void two(void) {
    void **a = calloc(1, 102); //~ reachable 102 1
    *a = calloc(1, 202); //~ reachable 202 1
    root2 = a;
}

static void three(void) {
    void *volatile lost = calloc(1, 103); //~ definite 103 1
    lost = NULL;
}

static void four(void) {
    void **volatile a = calloc(1, 104); //~ definite 104+204 1
    *a = calloc(1, 204); //~ indirect 204 1
    a = NULL;
}

static void five(void) {
    root5 = interior(calloc(1, 105)); //~ possible 105 1
}

static void six(void) {
    void **a = calloc(1, 106); //~ reachable 106 1
    *a = interior(calloc(1, 206)); //~ possible 206 1
    root6 = a;
}

static void seven(void) {
    void **a = calloc(1, 107); //~ possible 107 1
    a[3] = calloc(1, 207); //~ possible 207 1
    root7 = interior(a);
}

static void eight(void) {
    void **a = calloc(1, 108); //~ possible 108 1
    a[3] = interior(calloc(1, 208)); //~ possible 208 1
    root8 = interior(a);
}

static void nine(void) {
    void **volatile a = calloc(1, 109); //~ definite 109+209 1
    *a = interior(calloc(1, 209)); //~ indirect 209 1
    a = NULL;
}

int main(void) {
    one();
    two();
    three();
    four();
    five();
    six();
    seven();
    eight();
    nine();
    scrub();
    return SUCCESS();
}
