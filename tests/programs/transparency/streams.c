// build: cc -O2
// stdin: 17 words on the first line
// Standard streams: input arrives untouched, output is buffered as usual, both ends of a pipe, large writes.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

int main(void) {
    char line[100];
    int number;
    CHECK(scanf("%d", &number) == 1 && fgets(line, sizeof line, stdin));
    printf("%d%s", number, line);
    CHECK(fgets(line, sizeof line, stdin) == NULL && feof(stdin) && getchar() == EOF);
    fprintf(stderr, "error %d\n", 1);
    fprintf(stdout, "buffered ");
    CHECK(write(2, "direct\n", 7) == 7);
    puts("output");
    fflush(stdout);
    struct iovec parts[3] = {{"vec", 3}, {"tor", 3}, {"\n", 1}};
    CHECK(writev(1, parts, 3) == 7);
    struct stat status;
    CHECK(fstat(0, &status) == 0 && lseek(0, 0, SEEK_CUR) >= 0);
    int pipes[2];
    CHECK(pipe2(pipes, O_NONBLOCK) == 0);
    long total = 0;
    static char block[10000];
    for (ssize_t n; (n = write(pipes[1], block, sizeof block)) > 0;) total += n;
    CHECK(errno == EAGAIN);
    CHECK(poll(&(struct pollfd){.fd = pipes[1], .events = POLLOUT}, 1, 0) == 0);
    long back = 0;
    for (ssize_t n; (n = read(pipes[0], block, sizeof block)) > 0;) back += n;
    CHECK(errno == EAGAIN && back == total);
    char *huge = malloc(5000000);
    memset(huge, 'z', 5000000);
    int fd = open("file", O_RDWR | O_CREAT, 0640);
    CHECK(write(fd, huge, 5000000) == 5000000 && pread(fd, huge, 10, 4999995) == 5);
    CHECK(fstat(fd, &status) == 0 && status.st_size == 5000000);
    CHECK(fcntl(1, F_GETFL) >= 0);
    return SUCCESS();
}
