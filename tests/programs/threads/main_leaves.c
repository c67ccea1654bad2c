// build: cc -O2 -pthread
// build static: cc -O2 -pthread -static
// The main thread ends with pthread_exit; the process ends with the last thread.
#include "../guest.h"
#include <pthread.h>
#include <unistd.h>

static pthread_t main_thread;

static void *body(void *argument) {
    CHECK(pthread_join(main_thread, NULL) == 0);
    usleep(10000);
    FILE *file = fopen("/proc/thread-self/comm", "r");
    char name[32];
    CHECK(file && fgets(name, sizeof name, file));
    printf("after main: %s", name);
    SUCCESS();
    return argument;
}

int main(void) {
    pthread_t thread;
    main_thread = pthread_self();
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    pthread_detach(thread);
    pthread_exit(NULL);
}
