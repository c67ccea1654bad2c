// build: cc -O2
// trace: partial
// What every signal does by default: each kills, stops, continues or is ignored in a child of its own.
#define _GNU_SOURCE
#include "../guest.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    for (int s = 1; s <= 64; s++) {
        if (s == 32 || s == 33) continue;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            signal(s, SIG_DFL);
            kill(getpid(), s);
            _exit(77);
        }
        int status;
        CHECK(waitpid(child, &status, WUNTRACED) == child);
        if (WIFSTOPPED(status)) {
            printf("%d stops by %d\n", s, WSTOPSIG(status));
            CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, WCONTINUED) == child);
            if (WIFCONTINUED(status)) CHECK(waitpid(child, &status, 0) == child);
        }
        if (WIFSIGNALED(status)) printf("%d kills by %d\n", s, WTERMSIG(status));
        else printf("%d exits with %d\n", s, WEXITSTATUS(status));
    }
    return SUCCESS();
}
