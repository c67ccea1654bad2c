// build: cc -g -O0 -w
// build O3: cc -g -O3 -w
// build clang: clang -g -O2 -w
// sizeof of the pointer instead of what it points at.
#include "../guest.h"

struct record {
    volatile int id, year;
    volatile double price;
    volatile char code[4];
};

int main(void) {
    struct record *one = malloc(sizeof one);
    one->id = 1;
    one->year = 1999;
    one->price = 9.5; //~ InvalidWrite 8
    one->code[3] = 'x'; //~ InvalidWrite 1
    double price = one->price; //~ InvalidRead 8
    CHECK(one->id == 1 && (price >= 0 || 1));
    free(one);
    return SUCCESS();
}
