// lz4: fast and high compression, partial decompression, linked frames in pieces; there and back.
#include "data.h"
#include <lz4.h>
#include <lz4hc.h>
#include <lz4frame.h>
int main(void) {
    int bytes = 300000, bound = LZ4_compressBound(bytes);
    unsigned char *in = data((size_t)bytes), *out = malloc((size_t)bound * 2), *back = malloc((size_t)bytes);
    for (int a = 1; a < 20; a += 6) {
        int n = LZ4_compress_fast((char *)in, (char *)out, bytes, bound, a);
        must(LZ4_decompress_safe((char *)out, (char *)back, n, bytes) == bytes, "decompress");
        must(!memcmp(in, back, (size_t)bytes), "same");
        printf("fast %d %d %08x\n", a, n, sum(out, (size_t)n));
    }
    for (int l = 2; l <= 12; l++) {
        int part = bytes / 3;
        int n = LZ4_compress_HC((char *)in, (char *)out, part, bound, l);
        must(LZ4_decompress_safe((char *)out, (char *)back, n, bytes) == part, "decompress");
        must(!memcmp(in, back, (size_t)part), "same");
        must(LZ4_decompress_safe_partial((char *)out, (char *)back, n, 1000, bytes) >= 1000, "partial");
        printf("hc %d %d %08x\n", l, n, sum(out, (size_t)n));
    }
    for (int level = 0; level < 10; level += 5) {
        LZ4F_preferences_t p = {0};
        p.compressionLevel = level;
        p.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
        p.frameInfo.blockMode = LZ4F_blockLinked;
        size_t n = LZ4F_compressFrame(out, (size_t)bound * 2, in, (size_t)bytes, &p);
        must(!LZ4F_isError(n), "frame");
        LZ4F_dctx *d;
        must(!LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)), "context");
        size_t at = 0, to = 0;
        while (at < n) {
            size_t some = 1 + next() % 5000, room = (size_t)bytes - to;
            if (some > n - at) some = n - at;
            must(!LZ4F_isError(LZ4F_decompress(d, back + to, &room, out + at, &some, NULL)), "unframe");
            at += some, to += room;
        }
        LZ4F_freeDecompressionContext(d);
        must(to == (size_t)bytes && !memcmp(in, back, to), "frames");
        printf("frame %d %zu %08x\n", level, n, sum(out, n));
    }
    free(in), free(out), free(back);
    return 0;
}
