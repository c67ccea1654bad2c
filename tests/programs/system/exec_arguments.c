// build: cc -g -O0
// build O2: cc -g -O2
// An argument of execve is a string without a terminator in its block; what exec makes of the process is another one.
#include "../guest.h"
#include <sys/wait.h>

int main(void) {
    char *word = malloc(4);
    memcpy(word, "word", 4);
    char *good[] = {"true", "an argument", NULL}, *bad[] = {"true", word, NULL}, *none[] = {NULL};
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            if (i == 0) execve("/nonexistent/program", good, none);
            else execve("/nonexistent/program", bad, none); //~ SyscallParam 0
            _exit(0);
        }
        int status = 1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    free(word);
    return SUCCESS();
}
