// Reads JSON into a tree of blocks, writes it out again, compares, and frees it, several times: as C libraries do it, with
// a block for each value and each string, and a text that grows.
//
// usage: json ROUNDS
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { NOTHING, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT };

struct value {
    struct value *next, *child;
    enum kind kind;
    char *string, *name;
    double number;
};

struct text {
    char *at;
    size_t length, room;
};

static void put(struct text *text, const char *bytes, size_t count) {
    if (text->length + count + 1 > text->room) {
        text->room = 2 * (text->length + count + 1);
        text->at = realloc(text->at, text->room);
        if (!text->at)
            abort();
    }
    memcpy(text->at + text->length, bytes, count);
    text->length += count;
    text->at[text->length] = 0;
}

static void put_string(struct text *text, const char *string) {
    put(text, "\"", 1);
    for (; *string; string++) {
        if (*string == '"' || *string == '\\')
            put(text, "\\", 1);
        put(text, string, 1);
    }
    put(text, "\"", 1);
}

static void print(struct text *text, const struct value *value) {
    char number[40];
    const char *brackets = value->kind == ARRAY ? "[]" : "{}";
    switch (value->kind) {
    case NOTHING: put(text, "null", 4); break;
    case FALSE: put(text, "false", 5); break;
    case TRUE: put(text, "true", 4); break;
    case NUMBER: put(text, number, (size_t)snprintf(number, sizeof number, "%.15g", value->number)); break;
    case STRING: put_string(text, value->string); break;
    case ARRAY:
    case OBJECT:
        put(text, brackets, 1);
        for (const struct value *child = value->child; child; child = child->next) {
            if (child->name) {
                put_string(text, child->name);
                put(text, ":", 1);
            }
            print(text, child);
            if (child->next)
                put(text, ",", 1);
        }
        put(text, brackets + 1, 1);
    }
}

static void wrong(const char *at) {
    printf("wrong: %.20s\n", at);
    exit(1);
}

static const char *space(const char *at) {
    while (*at == ' ' || *at == '\n' || *at == '\t')
        at++;
    return at;
}

static const char *read_string(const char *at, char **out) {
    size_t length = 0;
    const char *end = ++at;
    for (; *end && *end != '"'; end++, length++)
        if (*end == '\\')
            end++;
    char *copy = *out = malloc(length + 1);
    if (!copy || !*end)
        wrong(at);
    while (at < end) {
        if (*at == '\\')
            at++;
        *copy++ = *at++;
    }
    *copy = 0;
    return end + 1;
}

static const char *read_value(const char *at, struct value *value);

static const char *read_children(const char *at, struct value *parent) {
    struct value **last = &parent->child;
    char end = parent->kind == ARRAY ? ']' : '}';
    at = space(at + 1);
    while (*at != end) {
        struct value *child = malloc(sizeof *child);
        if (!child)
            abort();
        memset(child, 0, sizeof *child);
        *last = child;
        last = &child->next;
        if (parent->kind == OBJECT) {
            at = space(read_string(at, &child->name));
            if (*at++ != ':')
                wrong(at);
            at = space(at);
        }
        at = space(read_value(at, child));
        if (*at == ',')
            at = space(at + 1);
        else if (*at != end)
            wrong(at);
    }
    return at + 1;
}

static const char *read_value(const char *at, struct value *value) {
    if (*at == '[' || *at == '{') {
        value->kind = *at == '[' ? ARRAY : OBJECT;
        return read_children(at, value);
    }
    if (*at == '"') {
        value->kind = STRING;
        return read_string(at, &value->string);
    }
    if (!strncmp(at, "null", 4))
        return value->kind = NOTHING, at + 4;
    if (!strncmp(at, "true", 4))
        return value->kind = TRUE, at + 4;
    if (!strncmp(at, "false", 5))
        return value->kind = FALSE, at + 5;
    char *end;
    value->kind = NUMBER;
    value->number = strtod(at, &end);
    if (end == at)
        wrong(at);
    return end;
}

static void release(struct value *value) {
    while (value) {
        struct value *next = value->next;
        release(value->child);
        free(value->string);
        free(value->name);
        free(value);
        value = next;
    }
}

static struct text sample(int rows) {
    struct text text = {0};
    char line[200];
    unsigned x = 2463534242u;
    put(&text, "[", 1);
    for (int i = 0; i < rows; i++) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        int length = snprintf(line, sizeof line,
            "%s{\"id\":%d,\"name\":\"row \\\"%x\\\"\",\"price\":%u.%02u,\"on\":%s,\"none\":null,\"tags\":[\"a%u\",\"b\",%u]}",
            i ? "," : "", i, x, x % 1000, x % 9 * 10 + 15, x & 1 ? "true" : "false", x % 7, x % 100000);
        put(&text, line, (size_t)length);
    }
    put(&text, "]", 1);
    return text;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 1, same = 0;
    struct text text = sample(20000);
    for (int round = 0; round < rounds; round++) {
        struct value *root = calloc(1, sizeof *root);
        if (!root)
            abort();
        read_value(text.at, root);
        struct text again = {0};
        print(&again, root);
        same += again.length == text.length && !memcmp(again.at, text.at, text.length);
        free(again.at);
        release(root);
    }
    printf("%zu bytes, %d of %d the same\n", text.length, same, rounds);
    free(text.at);
    return 0;
}
