// build: cc -O2
// build static: cc -O2 -static
// build nonpie: cc -O2 -no-pie
// args: first second
// The views of /proc on the program itself: exe, cmdline, comm, environ, cwd, stat, status.
#define _GNU_SOURCE
#include "../guest.h"
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t slurp(const char *path, char *to, size_t size) {
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    size_t total = 0;
    for (ssize_t n; (n = read(fd, to + total, size - 1 - total)) > 0;) total += (size_t)n;
    to[total] = 0;
    close(fd);
    return total;
}

int main(int argc, char **argv) {
    char text[65536], path[4096], other[64];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    CHECK(n > 0);
    path[n] = 0;
    CHECK(strcmp(path, argv[0]) == 0);
    printf("exe %s\n", basename(strdupa(path)));
    snprintf(other, sizeof other, "/proc/%d/exe", getpid());
    CHECK(readlink(other, text, sizeof text) == n && memcmp(text, path, (size_t)n) == 0);
    CHECK(readlinkat(AT_FDCWD, "/proc/thread-self/exe", text, 5) == 5 && memcmp(text, path, 5) == 0);
    struct stat a, b;
    CHECK(stat("/proc/self/exe", &a) == 0 && stat(argv[0], &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    CHECK(access("/proc/self/exe", X_OK) == 0);
    int fd = open("/proc/self/exe", O_RDONLY);
    CHECK(fd >= 0 && fstat(fd, &a) == 0 && a.st_ino == b.st_ino && read(fd, text, 4) == 4 && memcmp(text, "\177ELF", 4) == 0);
    CHECK(realpath("/proc/self/exe", text) && strcmp(text, argv[0]) == 0);
    size_t size = slurp("/proc/self/cmdline", text, sizeof text);
    size_t at = strlen(argv[0]) + 1;
    CHECK(strcmp(text, argv[0]) == 0 && argc == 3);
    for (; at < size; at += strlen(text + at) + 1) printf("argument %s\n", text + at);
    slurp("/proc/self/comm", text, sizeof text);
    printf("comm %s", text);
    size = slurp("/proc/self/environ", text, sizeof text);
    int variables = 0, known = 0;
    for (at = 0; at < size; at += strlen(text + at) + 1) variables++, known += getenv(strndupa(text + at, strcspn(text + at, "="))) != NULL;
    printf("variables %d known %d\n", variables, known);
    char here[4096];
    n = readlink("/proc/self/cwd", path, sizeof path - 1);
    CHECK(n > 0 && getcwd(here, sizeof here) && strncmp(path, here, (size_t)n) == 0);
    slurp("/proc/self/stat", text, sizeof text);
    printf("stat name %.*s\n", (int)(strrchr(text, ')') - strchr(text, '(')), strchr(text, '(') + 1);
    CHECK(atoi(text) == getpid());
    slurp("/proc/self/status", text, sizeof text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        static const char *const shown[] = {"Name:", "Umask:", "State:", "Threads:", "SigBlk:", "SigIgn:", "NoNewPrivs:", "TracerPid:"};
        for (unsigned i = 0; i < sizeof shown / sizeof *shown; i++)
            if (strncmp(line, shown[i], strlen(shown[i])) == 0) puts(line);
    }
    return SUCCESS();
}
