// A child frees what its parent had allocated, another one executes the program again.
// build: cc -g -O0
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void done(void) {
    int status;
    if (wait(&status) < 0 || status != 0)
        exit(1);
}

int main(int count, char **arguments) {
    if (count > 1)
        return malloc(7000) == NULL;
    void *block = malloc(1000);
    if (fork() == 0) {
        free(block);
        block = malloc(2000);
        _exit(block == NULL);
    }
    done();
    if (fork() == 0) {
        execl(arguments[0], arguments[0], "again", (char *)NULL);
        _exit(1);
    }
    done();
    block = malloc(3000);
    write(1, "EXIT-SUCCESS\n", 13);
}
