// build: cc -O2
// long
// timeout: 300
// Two thousand short processes, up to twenty at a time, half of them through exec.
#include "../guest.h"
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc > 1) return atoi(argv[1]);
    long sum = 0;
    int running = 0, status;
    for (int i = 0; i < 2000; i++) {
        if (running == 20) {
            CHECK(wait(&status) > 0 && WIFEXITED(status));
            sum += WEXITSTATUS(status);
            running--;
        }
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            char number[16];
            snprintf(number, sizeof number, "%d", i % 50);
            if (i % 2) execl(argv[0], argv[0], number, (char *)NULL);
            _exit(i % 50);
        }
        running++;
    }
    for (; running; running--) {
        CHECK(wait(&status) > 0 && WIFEXITED(status));
        sum += WEXITSTATUS(status);
    }
    printf("%ld\n", sum);
    return SUCCESS();
}
