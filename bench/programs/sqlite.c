// SQLite: executes the statements of a file in a database in memory and prints the rows.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static int row(void *unused, int count, char **values, char **names) {
    (void)unused, (void)names;
    for (int i = 0; i < count; i++)
        printf("%s%s", i ? "|" : "", values[i] ? values[i] : "");
    printf("\n");
    return 0;
}

int main(int argc, char **argv) {
    static char text[1 << 16];
    FILE *file = fopen(argv[argc - 1], "r");
    if (!file)
        return 1;
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = 0;
    fclose(file);
    sqlite3 *base;
    char *message = NULL;
    if (sqlite3_open(":memory:", &base) || sqlite3_exec(base, text, row, NULL, &message)) {
        printf("%s\n", message ? message : "cannot open");
        return 1;
    }
    sqlite3_close(base);
    return 0;
}
