// build: cc -g -O1 -fno-builtin
// build static: cc -g -O1 -fno-builtin -static
// build pie: cc -g -O1 -fno-builtin -static-pie
// peer pie: does not replace the functions of a static program
// build musl: musl-gcc -g -O1 -fno-builtin -static
// peer: takes what wide functions read ahead for errors
// peer musl: neither replaces the allocator nor the functions of a static program
// timeout: 120
// libc's string functions at the very end of heap blocks, at all alignments: right results, and no errors.
#define _GNU_SOURCE
#include "../guest.h"
#include <malloc.h>
#include <strings.h>
#include <wchar.h>

#define MOST 150

static int sign(long value) { return (value > 0) - (value < 0); }

static void expect(int holds, const char *what, size_t align, size_t length) {
    if (!holds) {
        printf("%s is wrong at alignment %zu, length %zu\n", what, align, length);
        exit(1);
    }
}
#define EXPECT(holds) expect(holds, #holds, align, length)

// The last `size` bytes of a block, which begin `align` bytes behind a multiple of 64.
static char *block_of;
static char *tail(size_t align, size_t size) {
    block_of = memalign(64, 64 + align + size);
    memset(block_of, 'z', 64 + align + size);
    char *exact = realloc(block_of, align + size);
    if (((size_t)exact & 63) != 0) {
        free(exact);
        exact = memalign(64, align + size);
    }
    block_of = exact;
    return block_of + align;
}

static char text(size_t i) { return (char)('a' + i % 23); }

static void narrow(size_t align, size_t length) {
    char *a = tail(align, length + 1), *a_block = block_of;
    char *b = tail((align * 7 + length) % 64, length + 1), *b_block = block_of;
    for (size_t i = 0; i < length; i++) {
        a[i] = text(i);
    }
    a[length] = 0;

    EXPECT(strlen(a) == length);
    EXPECT(strnlen(a, length + 1) == length && strnlen(a, length) == length && strnlen(a, length / 2) == length / 2);
    EXPECT(memchr(a, 0, length + 1) == a + length && memchr(a, 1, length + 1) == NULL);
    EXPECT(memrchr(a, 1, length + 1) == NULL && memrchr(a, 0, length + 1) == a + length);
#ifdef __GLIBC__
    EXPECT(rawmemchr(a, 0) == a + length);
#endif
    EXPECT(strchr(a, 0) == a + length && strrchr(a, 0) == a + length);
    EXPECT(strchr(a, '!') == NULL && strrchr(a, '!') == NULL && strchrnul(a, '!') == a + length);
    EXPECT(strspn(a, "abcdefghijklmnopqrstuvw") == length && strcspn(a, "!?") == length && strpbrk(a, "!?") == NULL);
    EXPECT(strstr(a, "!") == NULL && strstr(a, "") == a && strstr(a, a) == a);
    if (length > 0) {
        size_t last = length - 1, first = last % 23;
        EXPECT(strchr(a, text(last)) == a + first && strrchr(a, text(last)) == a + last);
        EXPECT(memchr(a, text(last), length) == a + first && memrchr(a, text(last), length) == a + last);
        EXPECT(strstr(a, a + last) == a + first);
        char two[2] = {text(last), 0};
        EXPECT(strcspn(a, two) == first && strpbrk(a, two) == a + first);
    }

    EXPECT(memcpy(b, a, length + 1) == b && memcmp(a, b, length + 1) == 0 && strcmp(a, b) == 0);
    EXPECT(strncmp(a, b, length + 10) == 0 && strcasecmp(a, b) == 0 && strncasecmp(a, b, length) == 0);
    for (size_t i = 0; i < length; i++) {
        EXPECT(b[i] == text(i));
    }
    if (length > 0) {
        size_t at = length * 2 / 3;
        b[at] = (char)(a[at] + 1);
        EXPECT(memcmp(a, b, length) < 0 && memcmp(b, a, length) > 0 && memcmp(a, b, at) == 0);
        EXPECT(strcmp(a, b) < 0 && strcmp(b, a) > 0 && strncmp(a, b, at) == 0 && strncmp(a, b, at + 1) < 0);
        EXPECT(strcasecmp(a, b) < 0 && strncasecmp(b, a, at) == 0);
        b[at] = (char)(a[at] - 'a' + 'A');
        EXPECT(strcmp(a, b) > 0 && strcasecmp(a, b) == 0 && strncasecmp(b, a, at + 1) == 0);
        b[at] = (char)0x80;
        EXPECT(sign(memcmp(a, b, length)) == -1 && strcmp(a, b) < 0);
    }
    EXPECT(memset(b, 'q', length) == b);
    for (size_t i = 0; i < length; i++) {
        EXPECT(b[i] == 'q');
    }
    EXPECT(strcpy(b, a) == b && strcmp(a, b) == 0);
    memset(b, 'q', length + 1);
    EXPECT(stpcpy(b, a) == b + length && strcmp(a, b) == 0);
    memset(b, 'q', length + 1);
    EXPECT(strncpy(b, a, length + 1) == b && strcmp(a, b) == 0 && stpncpy(b, a, length) == b + length);
    memset(b, 'q', length + 1);
    EXPECT(memccpy(b, a, 0, length + 100) == b + length + 1 && memccpy(b, a, 1, length) == NULL);
    EXPECT(mempcpy(b, a, length + 1) == b + length + 1 && strcmp(a, b) == 0);
    size_t half = length / 2;
    memset(b, 'q', length + 1);
    b[half] = 0;
    EXPECT(strcat(b, a + half) == b && strlen(b) == length && memcmp(b + half, a + half, length - half) == 0);
    b[half] = 0;
    EXPECT(strncat(b, a, length - half) == b && strlen(b) == length);
    a[half] = 0;
    memset(b, 'q', length + 1);
    strncpy(b, a, length + 1);
    for (size_t i = half; i <= length; i++) {
        EXPECT(b[i] == 0);
    }
    for (size_t i = 0; i <= length; i++) {
        a[i] = text(i);
    }
    memmove(a + half, a, length - half);
    for (size_t i = 0; i < length - half; i++) {
        EXPECT(a[half + i] == text(i));
    }
    for (size_t i = 0; i <= length; i++) {
        a[i] = text(i);
    }
    memmove(a, a + half, length - half);
    for (size_t i = 0; i < length - half; i++) {
        EXPECT(a[i] == text(half + i));
    }
    free(a_block);
    free(b_block);
}

static void wide(size_t align, size_t length) {
    wchar_t *a = (wchar_t *)tail(align, 4 * (length + 1));
    char *a_block = block_of;
    wchar_t *b = (wchar_t *)tail((align + 12 * length) % 64, 4 * (length + 1));
    char *b_block = block_of;
    for (size_t i = 0; i < length; i++) {
        a[i] = text(i) << 8;
    }
    a[length] = 0;
    EXPECT(wcslen(a) == length && wcsnlen(a, length + 1) == length && wcsnlen(a, length / 2) == length / 2);
    EXPECT(wcschr(a, 0) == a + length && wcschr(a, 'a') == NULL && wcsrchr(a, 'a') == NULL);
    EXPECT(wmemchr(a, 0, length + 1) == a + length && wmemchr(a, 'a', length + 1) == NULL);
    if (length > 0) {
        size_t last = length - 1;
        EXPECT(wcschr(a, a[last]) == a + last % 23 && wcsrchr(a, a[last]) == a + last);
    }
    EXPECT(wcscpy(b, a) == b && wcscmp(a, b) == 0 && wmemcmp(a, b, length + 1) == 0 && wcsncmp(a, b, length) == 0);
    EXPECT(wmemset(b, 7, length + 1) == b && b[0] == 7 && b[length] == 7);
    EXPECT(wcpcpy(b, a) == b + length && wcscmp(a, b) == 0);
    wmemset(b, 7, length + 1);
    EXPECT(wcsncpy(b, a, length + 1) == b && wcscmp(a, b) == 0 && wcpncpy(b, a, length) == b + length);
    wmemset(b, 7, length + 1);
    EXPECT(wmemcpy(b, a, length + 1) == b && wcscmp(a, b) == 0);
    if (length > 0) {
        size_t at = length * 2 / 3;
        b[at] = -1;
        EXPECT(wcscmp(a, b) > 0 && wmemcmp(b, a, length) < 0 && wcsncmp(a, b, at) == 0 && wcsncmp(b, a, at + 1) < 0);
    }
    size_t half = length / 2;
    b[half] = 0;
    EXPECT(wcscat(b, a + half) == b && wcslen(b) == length && wmemcmp(b + half, a + half, length - half) == 0);
    b[half] = 0;
    EXPECT(wcsncat(b, a, length - half) == b && wcslen(b) == length);
    free(a_block);
    free(b_block);
}

int main(void) {
    for (size_t align = 0; align < 64; align++) {
        for (size_t length = 0; length < MOST; length += 1 + (length > 40) * (align % 5)) {
            narrow(align, length);
            if (align % 4 == 0) {
                wide(align, length);
            }
        }
    }
    size_t align = 0, length = 100000;
    narrow(align, length);
    wide(align, length);
    puts("EXIT-SUCCESS");
    return 0;
}
