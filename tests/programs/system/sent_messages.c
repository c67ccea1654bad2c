// build: cc -g -O0
// build O2: cc -g -O2
// Messages over a socket: the payload is undefined in part, its length is not, and a control message has a gap.
#define _GNU_SOURCE
#include "../guest.h"
#include <sys/socket.h>
#include <sys/uio.h>

int main(void) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    char *payload = malloc(32), *got = malloc(32);
    memset(payload, 1, 24);
    CHECK(send(ends[0], payload, 24, 0) == 24);
    CHECK(recv(ends[1], got, 32, 0) == 24 && got[23] == 1);
    CHECK(send(ends[0], payload, 32, 0) == 32); //~ SyscallParam 0
    CHECK(recv(ends[1], got, 32, 0) == 32);
    struct iovec parts[2] = {{payload, 4}, {payload + 20, 8}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    CHECK(sendmsg(ends[0], &message, 0) == 12); //~ SyscallParam 0
    parts[1].iov_len = 4;
    CHECK(sendmsg(ends[0], &message, 0) == 8);
    free(payload), free(got);
    return SUCCESS();
}
