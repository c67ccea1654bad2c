// build: cc -O2 -pthread
// A small server and its clients over TCP on the loop and over a Unix socket, with epoll and accept4.
#define _GNU_SOURCE
#include "../guest.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_storage address;
static socklen_t length;

static void *client(void *argument) {
    long self = (long)argument, sum = 0;
    for (int i = 0; i < 20; i++) {
        int fd = socket(address.ss_family, SOCK_STREAM, 0);
        CHECK(connect(fd, (struct sockaddr *)&address, length) == 0);
        char text[64];
        int n = snprintf(text, sizeof text, "%ld", self * 100 + i);
        CHECK(send(fd, text, (size_t)n, 0) == n && shutdown(fd, SHUT_WR) == 0);
        n = (int)recv(fd, text, sizeof text - 1, MSG_WAITALL);
        CHECK(n > 0);
        text[n] = 0;
        sum += atol(text);
        close(fd);
    }
    return (void *)sum;
}

static void serve(int family) {
    int listener = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    memset(&address, 0, sizeof address);
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)&address;
        in->sin_family = AF_INET;
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        length = sizeof *in;
    } else {
        struct sockaddr_un *un = (struct sockaddr_un *)&address;
        un->sun_family = AF_UNIX;
        strcpy(un->sun_path, "socket");
        length = sizeof *un;
    }
    CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 50) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC), served = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0);
    pthread_t threads[3];
    for (long i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, client, (void *)i) == 0);
    while (served < 60) {
        struct epoll_event events[8];
        int count = epoll_wait(epoll, events, 8, 10000);
        CHECK(count > 0);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                event.data.fd = accepted;
                CHECK(accepted >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, accepted, &event) == 0);
                continue;
            }
            char text[64], reply[64];
            ssize_t n = recv(fd, text, sizeof text - 1, MSG_WAITALL);
            CHECK(n > 0);
            text[n] = 0;
            int size = snprintf(reply, sizeof reply, "%ld", atol(text) * 2);
            CHECK(send(fd, reply, (size_t)size, MSG_NOSIGNAL) == size);
            close(fd);
            served++;
        }
    }
    long total = 0;
    for (int i = 0; i < 3; i++) {
        void *sum;
        pthread_join(threads[i], &sum);
        total += (long)sum;
    }
    close(listener);
    close(epoll);
    printf("%s %ld\n", family == AF_INET ? "inet" : "unix", total);
}

int main(void) {
    serve(AF_INET);
    serve(AF_UNIX);
    return SUCCESS();
}
