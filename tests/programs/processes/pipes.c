// build: cc -O2
// A pipeline of processes, a socket pair with descriptors passed over it, shared file offsets, locks.
#define _GNU_SOURCE
#include "../guest.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void stage(int in, int out, int add) {
    unsigned char buffer[512];
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;) {
        for (ssize_t i = 0; i < n; i++) buffer[i] = (unsigned char)(buffer[i] + add);
        CHECK(write(out, buffer, (size_t)n) == n);
    }
}

int main(void) {
    int ends[6][2];
    for (int i = 0; i < 6; i++) CHECK(pipe(ends[i]) == 0);
    for (int i = 0; i < 5; i++) {
        if (fork() == 0) {
            int in = ends[i][0], out = ends[i + 1][1];
            for (int k = 0; k < 6; k++) {
                if (ends[k][0] != in) close(ends[k][0]);
                if (ends[k][1] != out) close(ends[k][1]);
            }
            stage(in, out, i + 1);
            _exit(0);
        }
    }
    for (int k = 0; k < 6; k++) {
        if (k != 0) close(ends[k][1]);
        if (k != 5) close(ends[k][0]);
    }
    if (fork() == 0) {
        for (int i = 0; i < 100000; i++) {
            unsigned char c = (unsigned char)i;
            if (i % 64 == 0) CHECK(write(ends[0][1], &c, 1) == 1);
        }
        _exit(0);
    }
    close(ends[0][1]);
    unsigned char buffer[4096];
    long total = 0, sum = 0;
    for (ssize_t n; (n = read(ends[5][0], buffer, sizeof buffer)) > 0; total += n)
        for (ssize_t i = 0; i < n; i++) sum += buffer[i];
    while (wait(NULL) > 0) {
    }
    printf("%ld %ld\n", total, sum);

    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    if (fork() == 0) {
        int fd = open("shared", O_RDWR | O_CREAT, 0600);
        char space[CMSG_SPACE(sizeof fd)] = {0}, byte = 'x';
        struct iovec iov = {&byte, 1};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
        CHECK(write(fd, "from the child", 14) == 14 && sendmsg(pair[0], &message, 0) == 1);
        _exit(0);
    }
    char space[CMSG_SPACE(sizeof(int))], byte;
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    CHECK(recvmsg(pair[1], &message, 0) == 1 && byte == 'x');
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    char text[32] = {0};
    CHECK(lseek(fd, 0, SEEK_CUR) == 14 && pread(fd, text, 31, 0) == 14);
    puts(text);
    wait(NULL);
    return SUCCESS();
}
