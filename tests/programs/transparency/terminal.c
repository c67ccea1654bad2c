// build: cc -O2 {src} -o {out} -lutil
// trace: partial
// A pseudo terminal with job control in it: the size, raw mode, Ctrl-C and Ctrl-Z from the line discipline.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static volatile int interrupts;
static void handler(int signal) { interrupts += signal == SIGINT; }

static void say(const char *text) {
    puts(text);
    fflush(stdout);
}

// The job: takes two interrupts, then waits to be stopped and killed.
static void job(void) {
    struct winsize now;
    setpgid(0, 0);
    while (tcgetpgrp(0) != getpgrp()) usleep(1000);
    signal(SIGINT, handler);
    sigset_t interrupt, before;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    CHECK(sigprocmask(SIG_BLOCK, &interrupt, &before) == 0);
    CHECK(isatty(0) && isatty(1) && ioctl(0, TIOCGWINSZ, &now) == 0 && now.ws_col == 80);
    say("ready");
    while (interrupts < 1) sigsuspend(&before);
    say("once");
    while (interrupts < 2) sigsuspend(&before);
    say("interrupted");
    for (;;) pause();
}

// The leader of the session, as a shell: starts the job in the foreground and tells what becomes of it.
static void shell(void) {
    int status;
    signal(SIGTTOU, SIG_IGN);
    pid_t pid = fork();
    if (pid == 0) job();
    setpgid(pid, pid);
    CHECK(tcsetpgrp(0, pid) == 0);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
    CHECK(tcsetpgrp(0, getpgrp()) == 0);
    say("stopped");
    CHECK(tcsetpgrp(0, pid) == 0 && kill(-pid, SIGCONT) == 0);
    CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
    say("continued");
    CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGQUIT);
    say("quit");
    _exit(0);
}

int main(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    // A shell starts its background jobs with the first two ignored.
    signal(SIGINT, SIG_DFL), signal(SIGQUIT, SIG_DFL), signal(SIGTSTP, SIG_DFL);
    int master;
    struct winsize size = {24, 80, 0, 0};
    pid_t child = forkpty(&master, NULL, NULL, &size);
    if (child < 0) {
        puts("SKIP no pseudo terminals");
        return 0;
    }
    if (child == 0) shell();
    static const struct {
        const char *wait, *send;
    } script[] = {{"ready", "\003"}, {"once", "\003"}, {"interrupted", "\032"}, {"stopped", ""}, {"continued", "\034"}, {"quit", ""}};
    char text[1000] = "";
    size_t total = 0, step = 0;
    while (step < sizeof script / sizeof *script) {
        ssize_t n = read(master, text + total, sizeof text - 1 - total);
        CHECK(n > 0);
        total += (size_t)n;
        text[total] = 0;
        while (step < sizeof script / sizeof *script && strstr(text, script[step].wait)) {
            puts(script[step].wait);
            usleep(50000);
            if (*script[step].send) CHECK(write(master, script[step].send, 1) == 1);
            step++;
        }
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    return SUCCESS();
}
