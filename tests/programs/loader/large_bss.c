// build: cc -O2 -mcmodel=medium
// build static: cc -O2 -static
// Hundreds of megabytes of .bss of which little is touched, and the tail of the last data page.
#include "../guest.h"

static unsigned char huge[400 << 20];
static int small[5] = {1, 2, 3, 4, 5};
static char tail[10000];

int main(void) {
    for (size_t i = 0; i < sizeof tail; i++) CHECK(tail[i] == 0);
    for (size_t i = 0; i < sizeof huge; i += 16 << 20) {
        CHECK(huge[i] == 0);
        huge[i] = (unsigned char)(i >> 24);
    }
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof huge; i += 16 << 20) sum += huge[i];
    printf("%u %d\n", sum, small[4]);
    return SUCCESS();
}
