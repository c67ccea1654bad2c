// build: cc -O2
// build static: cc -O2 -static
// Descriptors: the program sees only its own three, closes all, uses low and high numbers, lowers the limit.
#define _GNU_SOURCE
#include "../guest.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void list(const char *when) {
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory);
    int seen[1100] = {0}, count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(directory)) continue;
        CHECK(fd < 1100);
        seen[fd] = 1;
        count++;
    }
    closedir(directory);
    printf("%s: %d:", when, count);
    for (int i = 0; i < 1100; i++)
        if (seen[i]) printf(" %d", i);
    puts("");
}

// Executes itself twice with a low limit, so that nothing can be opened above it.
static void again(char **argv, int turn) {
    char text[2] = {(char)('0' + turn), 0};
    char *next[] = {argv[0], text, NULL};
    execv("/proc/self/exe", next);
    printf("exec: %s\n", strerror(errno));
    exit(1);
}

int main(int argc, char **argv) {
    if (argc > 1 && argv[1][0] < '2') again(argv, 2);
    if (argc > 1) {
        list("executed twice");
        exit(0);
    }
    list("at the start");
    struct stat status;
    for (int fd = 3; fd < 20000; fd++) {
        CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
        CHECK(fstat(fd, &status) == -1 && errno == EBADF);
        CHECK(syscall(SYS_fstat, fd, &status) == -1 && errno == EBADF);
    }
    CHECK(open("/dev/null", O_RDONLY) == 3 && dup(0) == 4 && dup2(0, 1000) == 1000);
    list("some");
#ifdef SYS_close_range
    CHECK(syscall(SYS_close_range, 3, ~0U, 0) == 0);
#endif
    list("closed");
    int pipes[2];
    CHECK(pipe(pipes) == 0 && pipes[0] == 3 && pipes[1] == 4);
    closefrom(3);
    struct rlimit limit, old;
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    limit = old;
    limit.rlim_cur = 10;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) again(argv, 1);
    int ended;
    CHECK(waitpid(child, &ended, 0) == child && ended == 0);
    int opened = 0;
    while (open("/dev/null", O_RDONLY) >= 0) opened++;
    CHECK(errno == EMFILE);
    printf("opened %d\n", opened);
    void *p = malloc(1 << 20);
    CHECK(p);
    free(p);
    FILE *file = fopen("/dev/null", "r");
    CHECK(!file);
    closefrom(3);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    struct rlimit now;
    CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == old.rlim_cur && now.rlim_max == old.rlim_max);
    CHECK(close(5) == -1 && errno == EBADF);
    close(0);
    CHECK(open("/dev/null", O_RDONLY) == 0);
    list("at the end");
    return SUCCESS();
}
