// build: cc -O2
// Names and process attributes: prctl, comm as others see it, dumpable, no_new_privs, keep what was set.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static void comm(void) {
    FILE *file = fopen("/proc/self/comm", "r");
    char text[32];
    CHECK(file && fgets(text, sizeof text, file));
    fputs(text, stdout);
    fclose(file);
}

int main(void) {
    comm();
    CHECK(prctl(PR_SET_NAME, "a name of many letters") == 0);
    comm();
    pid_t child = fork();
    if (child == 0) {
        comm();
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    printf("dumpable %d\n", prctl(PR_GET_DUMPABLE));
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
    printf("death signal %d keep capabilities %d\n", prctl(PR_GET_PDEATHSIG, &child) == 0 ? (int)child : -1, prctl(PR_GET_KEEPCAPS));
    CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && prctl(PR_GET_PDEATHSIG, &child) == 0 && child == SIGTERM);
    CHECK(prctl(PR_SET_PDEATHSIG, 0) == 0);
    printf("no new privileges %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    printf("timer slack %d\n", prctl(PR_GET_TIMERSLACK));
    CHECK(prctl(12345) == -1 && errno == EINVAL);
    struct utsname name;
    CHECK(uname(&name) == 0);
    printf("%s %s\n", name.sysname, name.machine);
    printf("personality %x\n", (unsigned)personality(0xffffffff));
    mode_t mask = umask(022);
    umask(mask);
    printf("umask %o nice %d\n", (unsigned)mask, getpriority(PRIO_PROCESS, 0));
    printf("uid %d gid %d groups %d\n", (int)getuid(), (int)getgid(), getgroups(0, NULL));
    printf("terminal %d %d %d session %d\n", isatty(0), isatty(1), isatty(2), getsid(0) > 0);
    return SUCCESS();
}
