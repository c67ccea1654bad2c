// build: cc -g -O0
// build O2: cc -g -O2
// build clang: clang -g -O2
// Valid: the functions for text on buffers that are not filled to their end: getline, strtok, sscanf, strtod, snprintf.
#define _GNU_SOURCE
#include "../guest.h"

int main(void) {
    FILE *file = tmpfile();
    CHECK(file != NULL);
    for (int i = 0; i < 40; i++) fprintf(file, "key%d = %d.5 ; comment %*s\n", i, i * 3, i, "");
    rewind(file);
    char *line = NULL, name[64];
    size_t size = 0;
    double total = 0;
    while (getline(&line, &size, file) > 0) {
        double value;
        CHECK(sscanf(line, "%63s = %lf", name, &value) == 2);
        total += value;
        char *copy = strdup(line), *rest = NULL;
        CHECK(strcmp(strtok_r(copy, " ", &rest), name) == 0 && strcmp(strtok_r(NULL, " ", &rest), "=") == 0);
        CHECK(strtod(strtok_r(NULL, ";", &rest), NULL) == value && strstr(rest, "comment") != NULL);
        free(copy);
    }
    CHECK(total == 2360);
    char *out = NULL;
    CHECK(asprintf(&out, "%s|%5.2f|%-6d|%#x|%c", name, total, 12, 255, '!') > 0);
    CHECK(strcmp(out, "key39|2360.00|12    |0xff|!") == 0);
    free(out), free(line);
    fclose(file);
    return SUCCESS();
}
