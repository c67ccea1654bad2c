// build: cc -g -O0
// build O2: cc -g -O2
// Valid: what the kernel answers into blocks that were never set: structures, lists, lengths, events, states of children.
#define _GNU_SOURCE
#include "../guest.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#define NEW(type) ((type *)malloc(sizeof(type)))

static void files(void) {
    struct statx *status = NEW(struct statx);
    CHECK(statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, status) == 0 && S_ISDIR(status->stx_mode));
    DIR *folder = opendir("/");
    int names = 0;
    for (struct dirent *entry; (entry = readdir(folder));) names += entry->d_name[0] != '.' && entry->d_type;
    CHECK(names > 3 && closedir(folder) == 0);
    char *link = malloc(4096);
    CHECK(readlink("/proc/self/cwd", link, 4096) > 0 && link[0] == '/');
    free(status), free(link);
}
static void events(void) {
    int queue = epoll_create1(0), counter = eventfd(3, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = 7}, *got = malloc(4 * sizeof *got);
    CHECK(epoll_ctl(queue, EPOLL_CTL_ADD, counter, &wanted) == 0);
    CHECK(epoll_wait(queue, got, 4, 100) == 1 && got->data.u64 == 7);
    uint64_t *value = NEW(uint64_t);
    CHECK(read(counter, value, 8) == 8 && *value == 3);
    struct itimerspec soon = {.it_value = {0, 1000}}, *left = NEW(struct itimerspec);
    CHECK(timerfd_settime(timer, 0, &soon, NULL) == 0 && read(timer, value, 8) == 8 && *value >= 1);
    CHECK(timerfd_gettime(timer, left) == 0 && left->it_interval.tv_sec == 0);
    close(queue), close(counter), close(timer), free(got), free(value), free(left);
}
static void sockets(void) {
    int ends[2], *type = NEW(int);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    struct sockaddr_un *name = NEW(struct sockaddr_un);
    socklen_t *size = NEW(socklen_t);
    *size = sizeof *name;
    CHECK(getsockname(ends[0], (struct sockaddr *)name, size) == 0 && name->sun_family == AF_UNIX);
    *size = sizeof *type;
    CHECK(getsockopt(ends[0], SOL_SOCKET, SO_TYPE, type, size) == 0 && *type == SOCK_STREAM && *size == 4);
    close(ends[0]), close(ends[1]), free(type), free(name), free(size);
}
static void children(void) {
    siginfo_t *info = NEW(siginfo_t);
    struct rusage *used = NEW(struct rusage);
    int *status = NEW(int);
    pid_t child = fork();
    if (child == 0) _exit(3);
    CHECK(waitid(P_PID, (id_t)child, info, WEXITED | WNOWAIT) == 0 && info->si_status == 3);
    CHECK(wait4(child, status, 0, used) == child && WEXITSTATUS(*status) == 3 && used->ru_maxrss > 0);
    cpu_set_t *processors = NEW(cpu_set_t);
    CHECK(sched_getaffinity(0, sizeof *processors, processors) == 0 && CPU_COUNT(processors) > 0);
    struct sysinfo *system = NEW(struct sysinfo);
    CHECK(sysinfo(system) == 0 && system->totalram > 0);
    free(info), free(used), free(status), free(processors), free(system);
}

int main(void) {
    files();
    events();
    sockets();
    children();
    return SUCCESS();
}
