// build: cc -g -O0 -w
// build O2: cc -g -O2 -w -fno-builtin
// build clang: clang -g -O1 -w -fno-builtin
// printf of numbers and strings that were never set.
#include "../guest.h"

static char text[200];

int main(void) {
    int *numbers = malloc(2 * sizeof *numbers);
    numbers[0] = 12;
    snprintf(text, sizeof text, "%d", numbers[0]);
    CHECK(strcmp(text, "12") == 0);
    snprintf(text, sizeof text, "%c", numbers[1]);
    // How much was printed is as undefined as the number.
    snprintf(text, sizeof text, "%x", numbers[1]); //~ UninitValue 8 //~ UninitCondition 0
    char *name = malloc(16);
    name[15] = 0;
    snprintf(text, sizeof text, "%.8s", name); //~ UninitCondition 0
    free(numbers), free(name);
    return SUCCESS();
}
