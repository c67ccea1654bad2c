// build: cc -O2
// build musl: musl-gcc -O2 -static
// posix_spawn: errors are reported, file actions, attributes, signal masks and defaults, search in PATH.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int finish(pid_t child) {
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        sigset_t mask;
        sigprocmask(SIG_BLOCK, NULL, &mask);
        struct sigaction action;
        sigaction(SIGUSR2, NULL, &action);
        return sigismember(&mask, SIGUSR1) * 2 + (action.sa_handler == SIG_DFL) + (getpgrp() == getpid()) * 4;
    }
    pid_t child = 0;
    char *missing[] = {"missing", NULL};
    CHECK(posix_spawn(&child, "/no/such/program", NULL, NULL, missing, environ) == ENOENT);
    CHECK(posix_spawnp(&child, "no-such-program-in-path", NULL, NULL, missing, environ) == ENOENT);
    CHECK(posix_spawn(&child, "/etc/passwd", NULL, NULL, missing, environ) != 0);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    char *shell[] = {"sh", "-c", "read line; echo \"got $line\"; exit 5", NULL};
    int in[2], out[2];
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    CHECK(posix_spawnp(&child, "sh", &actions, NULL, shell, environ) == 0);
    CHECK(write(in[1], "a line\n", 7) == 7);
    char text[64] = {0};
    CHECK(read(out[0], text, sizeof text - 1) > 0);
    fputs(text, stdout);
    CHECK(finish(child) == 5);
    posix_spawn_file_actions_t failing;
    posix_spawn_file_actions_init(&failing);
    posix_spawn_file_actions_addopen(&failing, 5, "/no/such/file", O_RDONLY, 0);
    int error = posix_spawn(&child, "/bin/true", &failing, NULL, missing, environ);
    CHECK(error == ENOENT);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    posix_spawnattr_setsigmask(&attributes, &set);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    posix_spawnattr_setsigdefault(&attributes, &set);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    signal(SIGUSR2, SIG_IGN);
    char *again[] = {argv[0], "child", NULL};
    CHECK(posix_spawn(&child, argv[0], NULL, &attributes, again, environ) == 0 && finish(child) == 7);
    CHECK(posix_spawn(&child, argv[0], NULL, NULL, again, environ) == 0 && finish(child) == 0);
    FILE *pipe = popen("echo popen; exit 3", "r");
    CHECK(fgets(text, sizeof text, pipe));
    fputs(text, stdout);
    CHECK(WEXITSTATUS(pclose(pipe)) == 3);
    fflush(stdout);
    CHECK(WEXITSTATUS(system("exit 9")) == 9);
    return SUCCESS();
}
