// zstd: all levels and strategies, streams with long matches, a trained dictionary; there and back.
#include "data.h"
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zdict.h>
int main(void) {
    size_t bytes = 150000, bound = ZSTD_compressBound(bytes);
    unsigned char *in = data(bytes), *out = malloc(bound), *back = malloc(bytes);
    int levels[] = {-5, 1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 18, 19, 22};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        size_t part = levels[i] > 9 ? bytes / 4 : bytes;
        size_t n = ZSTD_compress(out, bound, in, part, levels[i]);
        must(!ZSTD_isError(n), "compress");
        must(ZSTD_decompress(back, bytes, out, n) == part && !memcmp(in, back, part), "decompress");
        printf("%d %zu %08x\n", levels[i], n, sum(out, n));
    }
    // Streams, with a checksum and long distances.
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, 5);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(c, ZSTD_c_enableLongDistanceMatching, 1);
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 18);
    ZSTD_outBuffer o = {out, bound, 0};
    for (size_t at = 0; at < bytes;) {
        size_t n = 1 + next() % 5000;
        if (n > bytes - at) n = bytes - at;
        ZSTD_inBuffer i = {in + at, n, 0};
        at += n;
        while (i.pos < i.size) must(!ZSTD_isError(ZSTD_compressStream2(c, &o, &i, ZSTD_e_continue)), "stream");
    }
    ZSTD_inBuffer none = {NULL, 0, 0};
    while (ZSTD_compressStream2(c, &o, &none, ZSTD_e_end)) {}
    ZSTD_freeCCtx(c);
    ZSTD_DCtx *d = ZSTD_createDCtx();
    ZSTD_outBuffer b = {back, bytes, 0};
    for (size_t at = 0; at < o.pos;) {
        size_t n = 1 + next() % 700;
        if (n > o.pos - at) n = o.pos - at;
        ZSTD_inBuffer i = {out + at, n, 0};
        at += n;
        while (i.pos < i.size) must(!ZSTD_isError(ZSTD_decompressStream(d, &b, &i)), "unstream");
    }
    must(b.pos == bytes && !memcmp(in, back, bytes), "streams");
    printf("stream %zu %08x\n", o.pos, sum(out, o.pos));
    // A dictionary of small samples.
    enum { SAMPLES = 200, EACH = 300 };
    size_t sizes[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) sizes[i] = EACH;
    size_t cap = 4096;
    void *dict = malloc(cap);
    size_t size = ZDICT_trainFromBuffer(dict, cap, in, sizes, SAMPLES);
    must(!ZDICT_isError(size), "train");
    ZSTD_CCtx *cc = ZSTD_createCCtx();
    size_t n = ZSTD_compress_usingDict(cc, out, bound, in, EACH, dict, size, 3);
    must(!ZSTD_isError(n), "with dictionary");
    must(ZSTD_decompress_usingDict(d, back, bytes, out, n, dict, size) == EACH, "decompress with dictionary");
    printf("dict %zu %zu %08x\n", size, n, sum(out, n));
    ZSTD_freeCCtx(cc);
    ZSTD_freeDCtx(d);
    free(dict), free(in), free(out), free(back);
    return 0;
}
