// bzip2: small and large blocks, both of its sorts, both of its decompressors; there and back.
#include "data.h"
#include <bzlib.h>

void bz_internal_error(int code) {
    printf("internal %d\n", code);
    exit(1);
}

// Argument: how many bytes.
int main(int argc, char **argv) {
    unsigned bytes = argc > 1 ? (unsigned)atoi(argv[1]) : 120000, bound = bytes + bytes / 50 + 700;
    unsigned char *in = data(bytes), *out = malloc(bound), *back = malloc(bytes);
    memset(in + 1000, 'a', 9000); // for the fallback sort, too
    for (int level = 1; level <= 9; level += 8)
        for (int factor = 1; factor < 100; factor += 60)
            for (int small = 0; small < 2; small++) {
                unsigned n = bound, m = bytes;
                int r = BZ2_bzBuffToBuffCompress((char *)out, &n, (char *)in, bytes, level, 0, factor);
                must(r == BZ_OK, "compress");
                r = BZ2_bzBuffToBuffDecompress((char *)back, &m, (char *)out, n, small, 0);
                must(r == BZ_OK, "decompress");
                must(m == bytes && !memcmp(in, back, bytes), "same");
                printf("%d %u %08x\n", level, n, sum(out, n));
            }
    free(in), free(out), free(back);
    return 0;
}
