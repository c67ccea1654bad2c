// build: cc -O2 -pthread -DPROGRAM {src} -o {out} -ldl
// also: cc -O2 -shared -fPIC -DVALUE=1 {src} -o {out}.1.so
// also: cc -O2 -shared -fPIC -DVALUE=2 {src} -o {out}.2.so
// timeout: 120
// One thread loads and unloads two libraries with different code while others call into a third copy.
#include "../guest.h"

#ifdef PROGRAM
#include <dlfcn.h>
#include <pthread.h>

static int (*volatile steady)(int);
static volatile int stop;

static void *caller(void *argument) {
    long calls = 0;
    while (!stop) {
        for (int i = 0; i < 100; i++) CHECK(steady(i) == i * 2 + 2);
        calls++;
    }
    return argument ? argument : (void *)(calls > 0);
}

int main(int argc, char **argv) {
    char path[2][4096];
    CHECK(argc == 1);
    for (int i = 0; i < 2; i++) CHECK(snprintf(path[i], sizeof path[i], "%s.%d.so", argv[0], i + 1) > 0);
    char copy[] = "steady.so", command[9000];
    snprintf(command, sizeof command, "cp '%s' %s", path[1], copy);
    CHECK(system(command) == 0);
    void *kept = dlopen("./steady.so", RTLD_NOW);
    CHECK(kept != NULL);
    steady = (int (*)(int))dlsym(kept, "work");
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, caller, NULL) == 0);
    for (int i = 0; i < 1000; i++) {
        void *handle = dlopen(path[i % 2], RTLD_NOW);
        CHECK(handle != NULL);
        int (*work)(int) = (int (*)(int))dlsym(handle, "work");
        for (int k = 0; k < 20; k++) CHECK(work(k) == k * (i % 2 + 1) + i % 2 + 1);
        CHECK(dlclose(handle) == 0);
    }
    stop = 1;
    for (int i = 0; i < 2; i++) {
        void *result;
        CHECK(pthread_join(threads[i], &result) == 0 && result);
    }
    return SUCCESS();
}
#else
int work(int x) { return x * VALUE + VALUE; }
#endif
