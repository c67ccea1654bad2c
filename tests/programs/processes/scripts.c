// build: cc -O2
// Scripts: one argument with blanks, no argument, long lines, interpreters that are scripts, own program as one.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_script(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void run(const char *path) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execl(path, "name", "one", "two three", (char *)NULL);
        printf("%s\n", strerrorname_np(errno));
        fflush(stdout);
        _exit(98);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    printf("%s: exit %d\n", path, WEXITSTATUS(status));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        for (int i = 1; i < argc; i++) printf("[%s]", argv[i]);
        puts("");
        fflush(stdout);
        return argc;
    }
    char text[8192];
    write_script("shell", "#!/bin/sh\necho \"$0|$1|$2|$#\"\nexit 4\n");
    run("./shell");
    write_script("blank", "#! /bin/sh   \necho \"$0|$#\"\n");
    run("./blank");
    snprintf(text, sizeof text, "#!%s  an argument with  blanks \t\nrest\n", argv[0]);
    write_script("self", text);
    run("./self");
    snprintf(text, sizeof text, "#!%s", argv[0]);
    write_script("no newline", text);
    run("./no newline");
    write_script("second", "#!./self inner\n");
    run("./second");
    write_script("third", "#!./second\n");
    run("./third");
    memset(text, ' ', 400);
    memcpy(text, "#!/bin/sh", 9);
    strcpy(text + 400, "\necho long line\n");
    write_script("long", text);
    run("./long");
    char here[4096];
    CHECK(getcwd(here, sizeof here));
    snprintf(text, sizeof text, "%s/shell", here);
    setenv("PATH", here, 1);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execlp("shell", "shell", "by path", (char *)NULL);
        _exit(97);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 4);
    int fd = open("shell", O_RDONLY);
    child = fork();
    if (child == 0) {
        char *arguments[] = {"x", "y", NULL}, *none[] = {NULL};
        fexecve(fd, arguments, none);
        _exit(96);
    }
    CHECK(waitpid(child, &status, 0) == child);
    printf("by descriptor: %d\n", WEXITSTATUS(status));
    return SUCCESS();
}
