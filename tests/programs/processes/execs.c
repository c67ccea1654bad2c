// build: cc -O2
// build static: cc -O2 -static
// exec in all its forms: by path, by descriptor, from memory, relative; arguments, environment, descriptors.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int child(int argc, char **argv) {
    printf("child of %s: %d", argv[1], argc);
    for (int i = 2; i < argc; i++) printf(" [%s]", argv[i]);
    printf(" variable %s, descriptor 50 %s, 51 %s\n", getenv("ONLY") ? getenv("ONLY") : "-",
           fcntl(50, F_GETFD) >= 0 ? "open" : "closed", fcntl(51, F_GETFD) >= 0 ? "open" : "closed");
    fflush(stdout);
    return argc;
}

static char *program;
static char *environment[] = {"ONLY=this", NULL};

static void run(const char *how) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char *arguments[] = {"any name", (char *)how, "", "a b", NULL};
        int fd = open(program, O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0);
        if (strcmp(how, "execve") == 0) execve(program, arguments, environment);
        if (strcmp(how, "fexecve") == 0) fexecve(fd, arguments, environment);
        if (strcmp(how, "execveat empty") == 0) syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH);
        if (strcmp(how, "execveat relative") == 0) {
            char copy[4096];
            snprintf(copy, sizeof copy, "%s", program);
            int directory = open(dirname(copy), O_PATH | O_DIRECTORY);
            snprintf(copy, sizeof copy, "%s", program);
            syscall(SYS_execveat, directory, basename(copy), arguments, environment, 0);
        }
        if (strcmp(how, "memfd") == 0) {
            int memory = memfd_create("copy", MFD_CLOEXEC);
            char buffer[65536];
            for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) CHECK(write(memory, buffer, (size_t)n) == n);
            fexecve(memory, arguments, environment);
        }
        if (strcmp(how, "relative") == 0) {
            char copy[4096];
            snprintf(copy, sizeof copy, "%s", program);
            CHECK(chdir(dirname(copy)) == 0);
            snprintf(copy, sizeof copy, "./%s", basename(strdupa(program)));
            execve(copy, arguments, environment);
        }
        if (strcmp(how, "path") == 0) {
            char copy[4096];
            snprintf(copy, sizeof copy, "%s", program);
            setenv("PATH", dirname(copy), 1);
            setenv("ONLY", "path", 1);
            execvp(basename(strdupa(program)), arguments);
        }
        if (strcmp(how, "proc self exe") == 0) execve("/proc/self/exe", arguments, environment);
        if (strcmp(how, "symlink") == 0) {
            CHECK(symlink(program, "link") == 0);
            execve("link", arguments, environment);
        }
        printf("%s: %s\n", how, strerror(errno));
        fflush(stdout);
        _exit(99);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    printf("%s: %d\n", how, WEXITSTATUS(status));
}

int main(int argc, char **argv) {
    if (argc > 1) return child(argc, argv);
    program = argv[0];
    CHECK(dup2(1, 50) == 50 && dup3(1, 51, O_CLOEXEC) == 51);
    const char *ways[] = {"execve",   "fexecve", "execveat empty", "execveat relative", "memfd",
                          "relative", "path",    "proc self exe",  "symlink"};
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) run(ways[i]);
    return SUCCESS();
}
