// build: cc -g -O0 -fno-builtin -w
// build O2: cc -g -O2 -fno-builtin -w
// build clang: clang -g -O1 -fno-builtin -w
// sprintf writes one digit more than the block has; snprintf is told a size that is too large.
#include "../guest.h"

int main(void) {
    char *text = malloc(5);
    CHECK(snprintf(text, 5, "%d", 123456) == 6 && strcmp(text, "1234") == 0);
    sprintf(text, "%d", 1234);
    sprintf(text, "%d", 12345); //~ InvalidWrite 1
    char *other = malloc(8);
    snprintf(other, 16, "%s", "12345678"); //~ InvalidWrite 1
    free(text), free(other);
    return SUCCESS();
}
