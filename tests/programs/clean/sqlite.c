// SQLite: runs the script that is its argument in memory and in a file, and a statement with parameters.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
static int row(void *p, int n, char **v, char **names) {
    (void)p, (void)names;
    for (int i = 0; i < n; i++) printf("%s%s", i ? "|" : "", v[i] ? v[i] : "NULL");
    printf("\n");
    return 0;
}
int main(int argc, char **argv) {
    FILE *f = fopen(argv[argc - 1], "rb");
    if (!f) return 2;
    char *text = malloc(100000);
    text[fread(text, 1, 99999, f)] = 0;
    fclose(f);
    const char *files[] = {":memory:", "x.db"};
    for (int i = 0; i < 2; i++) {
        sqlite3 *db;
        char *error = NULL;
        if (sqlite3_open(files[i], &db)) return 3;
        if (sqlite3_exec(db, text, row, NULL, &error)) printf("error: %s\n", error);
        sqlite3_free(error);
        sqlite3_stmt *s;
        const char *select = "select a, b, ?1 * 2.5, ?2 || b, ?3 from t where a between ?1 and ?1 + 20 order by b";
        if (sqlite3_prepare_v2(db, select, -1, &s, NULL)) return 4;
        sqlite3_bind_int(s, 1, 40);
        sqlite3_bind_text(s, 2, "bound", -1, SQLITE_TRANSIENT);
        sqlite3_bind_blob(s, 3, "abc", 3, SQLITE_STATIC);
        while (sqlite3_step(s) == SQLITE_ROW)
            printf("%d %s %g %s %d\n", sqlite3_column_int(s, 0), sqlite3_column_text(s, 1), sqlite3_column_double(s, 2),
                   sqlite3_column_text(s, 3), sqlite3_column_bytes(s, 4));
        sqlite3_finalize(s);
        sqlite3_close(db);
    }
    remove("x.db");
    free(text);
    return 0;
}
