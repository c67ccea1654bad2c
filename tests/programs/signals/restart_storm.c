// build: cc -O2
// A timer every millisecond with SA_RESTART against a pipe between two processes: no byte lost, none twice.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long ticks;
static void handler(int signal) { ticks += signal == SIGALRM; }

int main(void) {
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    pid_t child = fork();
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
    if (child == 0) {
        close(pipes[0]);
        uint32_t state = 1;
        unsigned char buffer[3000];
        for (int round = 0; round < 1000; round++) {
            for (int i = 0; i < 3000; i++) buffer[i] = (unsigned char)((state = state * 1103515245 + 12345) >> 16);
            for (int done = 0; done < 3000;) {
                ssize_t n = write(pipes[1], buffer + done, (size_t)(3000 - done));
                CHECK(n > 0);
                done += (int)n;
            }
            if (round % 50 == 0) usleep(3000);
        }
        _exit(0);
    }
    close(pipes[1]);
    uint32_t state = 1;
    long total = 0;
    unsigned char buffer[1777];
    for (ssize_t n; (n = read(pipes[0], buffer, sizeof buffer)) > 0; total += n)
        for (ssize_t i = 0; i < n; i++) CHECK(buffer[i] == (unsigned char)((state = state * 1103515245 + 12345) >> 16));
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    printf("%ld %d\n", total, ticks > 0);
    return SUCCESS();
}
