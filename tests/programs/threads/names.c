// build: cc -O2 -pthread
// Thread names, the list of tasks, affinity, scheduling, per-thread clocks.
#define _GNU_SOURCE
#include "../guest.h"
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_barrier_t barrier;

static int tasks(void) {
    DIR *directory = opendir("/proc/self/task");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void *body(void *argument) {
    char name[16];
    CHECK(pthread_setname_np(pthread_self(), "worker-name") == 0);
    CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "worker-name") == 0);
    CHECK(syscall(SYS_gettid) != getpid());
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return argument;
}

int main(void) {
    char name[16];
    CHECK(prctl(PR_GET_NAME, name) == 0);
    puts(name);
    pthread_t threads[3];
    pthread_barrier_init(&barrier, NULL, 4);
    printf("tasks %d\n", tasks());
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
    pthread_barrier_wait(&barrier);
    printf("tasks %d\n", tasks());
    CHECK(pthread_getname_np(threads[1], name, sizeof name) == 0 && strcmp(name, "worker-name") == 0);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    CHECK(syscall(SYS_gettid) == getpid());
    cpu_set_t set;
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &set)) cpu++;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK(sched_setaffinity(0, sizeof set, &set) == 0 && sched_getcpu() == cpu);
    return SUCCESS();
}
