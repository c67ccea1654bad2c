// build: cc -O2
// Every exec that fails leaves the program unharmed and gives the kernel's error.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;
static volatile int alarms;
static void handler(int signal) { alarms += signal == SIGUSR1; }

static void attempt(const char *what, const char *path) {
    char *arguments[] = {"x", NULL};
    execve(path, arguments, environ);
    printf("%s: %s\n", what, strerrorname_np(errno));
    raise(SIGUSR1);
}

static void create(const char *path, const char *text, size_t size, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    CHECK(fd >= 0 && write(fd, text, size) == (ssize_t)size && fchmod(fd, mode) == 0 && close(fd) == 0);
}

int main(void) {
    signal(SIGUSR1, handler);
    attempt("missing", "/no/such/program");
    attempt("empty path", "");
    attempt("directory", "/");
    attempt("not a directory", "/etc/passwd/x");
    create("plain", "hello\n", 6, 0600);
    attempt("not executable", "plain");
    create("text", "hello\n", 6, 0700);
    attempt("unknown format", "text");
    create("empty", "", 0, 0700);
    attempt("empty file", "empty");
    create("short", "\177ELF", 4, 0700);
    attempt("short header", "short");
    create("wrong", "\177ELF\2\1\1", 64, 0700);
    attempt("zero header", "wrong");
    create("nobody", "#!/no/such/interpreter\n", 23, 0700);
    attempt("missing interpreter", "nobody");
    create("loop", "#!./loop\n", 9, 0700);
    attempt("own interpreter", "loop");
    create("blank", "#!\n", 3, 0700);
    attempt("no interpreter", "blank");
    char name[5000];
    memset(name, 'a', sizeof name);
    name[4999] = 0;
    attempt("long name", name);
    name[300] = 0;
    attempt("long component", name);
    CHECK(symlink("circle", "circle") == 0);
    attempt("circular link", "circle");
    attempt("bad pointer", (const char *)16);
    char *arguments[] = {"x", (char *)8, NULL};
    CHECK(execve("/bin/true", arguments, environ) == -1);
    printf("bad argument: %s\n", strerrorname_np(errno));
    CHECK(execve("/bin/true", (char **)24, environ) == -1);
    printf("bad array: %s\n", strerrorname_np(errno));
    int fd = open("busy", O_WRONLY | O_CREAT, 0700);
    attempt("open for writing", "busy");
    close(fd);
    char **many = malloc(sizeof(char *) * 3);
    char *huge = malloc(200000);
    memset(huge, 'h', 199999);
    huge[199999] = 0;
    many[0] = "x", many[1] = huge, many[2] = NULL;
    CHECK(execve("/bin/true", many, environ) == -1);
    printf("long argument: %s\n", strerrorname_np(errno));
    CHECK(alarms == 17);
    return SUCCESS();
}
