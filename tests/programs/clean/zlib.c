// zlib: all levels and strategies in pieces, checksums, gzip files; there and back.
#include "data.h"
#include <zlib.h>
int main(void) {
    uLong bytes = 200000, bound = compressBound(bytes) + 1000;
    unsigned char *in = data(bytes), *out = malloc(bound), *back = malloc(bytes);
    for (int level = 0; level < 10; level++)
        for (int strategy = 0; strategy < 5; strategy++) {
            uLong part = bytes / 4;
            z_stream c = {0};
            int format = strategy & 1 ? -15 : 31;
            must(deflateInit2(&c, level, Z_DEFLATED, format, 1 + strategy * 2, strategy) == Z_OK, "init");
            c.next_in = in, c.avail_in = (uInt)part, c.next_out = out, c.avail_out = (uInt)bound;
            while (deflate(&c, Z_FINISH) != Z_STREAM_END) {}
            uLong n = c.total_out;
            deflateEnd(&c);
            z_stream d = {0};
            must(inflateInit2(&d, format) == Z_OK, "init");
            d.next_in = out, d.next_out = back, d.avail_out = (uInt)bytes;
            int r;
            do {
                d.avail_in = (uInt)(1 + next() % 3000);
                if (d.avail_in > n - d.total_in) d.avail_in = (uInt)(n - d.total_in);
                r = inflate(&d, Z_NO_FLUSH);
            } while (r == Z_OK);
            must(r == Z_STREAM_END && d.total_out == part && !memcmp(in, back, part), "same");
            inflateEnd(&d);
            printf("%d %d %lu %08x\n", level, strategy, n, sum(out, n));
        }
    printf("%08lx %08lx\n", crc32(0, in, (uInt)bytes), adler32(1, in, (uInt)bytes));
    gzFile f = gzopen("x.gz", "wb9");
    for (uLong at = 0; at < bytes; at += 1000) gzwrite(f, in + at, 1000);
    gzprintf(f, "%s %d\n", "line", 17);
    gzclose(f);
    f = gzopen("x.gz", "rb");
    int n = gzread(f, back, (unsigned)bytes);
    char line[80];
    gzgets(f, line, sizeof line);
    gzclose(f);
    must((uLong)n == bytes && !memcmp(in, back, bytes), "gz");
    printf("%s", line);
    remove("x.gz");
    free(in), free(out), free(back);
    return 0;
}
