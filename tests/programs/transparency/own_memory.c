// build: cc -O2
// Memory reached through the kernel: /proc/self/mem, process_vm_readv and writev, shared memory segments, mlock.
#define _GNU_SOURCE
#include "../guest.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int number = 41;
static int __attribute__((noinline)) answer(void) { return number; }

int main(void) {
    CHECK(answer() == 41);
    int fd = open("/proc/self/mem", O_RDWR);
    CHECK(fd >= 0);
    int value = 0;
    CHECK(pread(fd, &value, 4, (off_t)(uintptr_t)&number) == 4 && value == 41);
    value = 42;
    CHECK(pwrite(fd, &value, 4, (off_t)(uintptr_t)&number) == 4 && answer() == 42);
    struct iovec local = {&value, 4}, remote = {(void *)&number, 4};
    value = 43;
    CHECK(process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == 4 && answer() == 43);
    value = 0;
    CHECK(process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 4 && value == 43);
    int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
    CHECK(id >= 0);
    int *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);
    CHECK(a != (void *)-1 && b != (void *)-1 && a != b);
    a[5] = 99;
    CHECK(b[5] == 99);
    pid_t child = fork();
    if (child == 0) {
        a[6] = 100;
        _exit(shmdt(a) == 0 ? 0 : 1);
    }
    CHECK(waitpid(child, NULL, 0) == child && b[6] == 100);
    CHECK(shmdt(a) == 0 && b[5] == 99 && shmdt(b) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mlock(page, 4096) == 0 && munlock(page, 4096) == 0);
    return SUCCESS();
}
