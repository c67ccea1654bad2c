// build: cc -g -O0
// build O3: cc -g -O3
// build clang: clang -g -O3
// Valid: base64 to and fro, in buffers that are exactly as long as they must be.
#include "../guest.h"
#include <stdint.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *__attribute__((noinline)) encode(const uint8_t *in, size_t size) {
    char *out = malloc((size + 2) / 3 * 4 + 1), *at = out;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)in[i] << 16;
        if (i + 1 < size) bits |= (uint32_t)in[i + 1] << 8;
        if (i + 2 < size) bits |= in[i + 2];
        for (int k = 0; k < 4; k++) *at++ = i + (size_t)k <= size ? letters[bits >> (18 - 6 * k) & 63] : '=';
    }
    *at = 0;
    return out;
}
static size_t __attribute__((noinline)) decode(const char *in, uint8_t *out) {
    size_t size = 0;
    uint32_t bits = 0;
    int have = 0;
    for (; *in && *in != '='; in++) {
        bits = bits << 6 | (uint32_t)(strchr(letters, *in) - letters);
        have += 6;
        if (have >= 8) out[size++] = (uint8_t)(bits >> (have -= 8));
    }
    return size;
}

int main(void) {
    for (size_t size = 0; size < 60; size++) {
        uint8_t *data = malloc(size + 1), *back = malloc(size + 1);
        for (size_t i = 0; i < size; i++) data[i] = (uint8_t)(i * 41 + size);
        char *text = encode(data, size);
        CHECK(strlen(text) % 4 == 0 && decode(text, back) == size && memcmp(data, back, size) == 0);
        free(data), free(back), free(text);
    }
    return SUCCESS();
}
