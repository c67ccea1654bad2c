// build: cc -O2 -pthread -mfsgsbase
// build static: cc -O2 -pthread -mfsgsbase -static
// needs: fsgsbase
// FS and GS: reading and writing the bases by instruction and by arch_prctl, operands with both prefixes.
#include "../guest.h"
#include <asm/prctl.h>
#include <errno.h>
#include <immintrin.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static __thread int mine = 5;

static void *body(void *argument) {
    uint64_t block[16] __attribute__((aligned(64)));
    for (int i = 0; i < 16; i++) block[i] = (uint64_t)i * 111;
    uint64_t fs = 0, gs = 1, value;
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0 && fs == _readfsbase_u64());
    CHECK(*(uint64_t *)fs == fs && (char *)&mine < (char *)fs && (char *)&mine > (char *)fs - 65536);
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == _readgsbase_u64());
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, block) == 0 && _readgsbase_u64() == (uint64_t)block);
    __asm__ volatile("mov %%gs:24, %0" : "=r"(value));
    CHECK(value == 333);
    _writegsbase_u64((uint64_t)(block + 2));
    __asm__ volatile("mov %%gs:(%1), %0" : "=r"(value) : "r"(8L));
    CHECK(value == 333);
    __asm__ volatile("addq $1, %%gs:0\n\tlock incq %%gs:(,%0,8)\n\tmovups %%gs:16, %%xmm0\n\tmovups %%xmm0, %%gs:32"
                     ::"r"(1L) : "xmm0", "memory", "cc");
    CHECK(block[2] == 223 && block[3] == 334 && block[6] == 444 && block[7] == 555);
    // FS elsewhere for a moment: nothing of the C library may run meanwhile.
    uint64_t other[16] = {0}, seen[3];
    other[4] = 4444;
    __asm__ volatile("wrfsbase %2\n\tmov %%fs:32, %0\n\trdfsbase %1\n\tmovq $7, %%fs:40\n\twrfsbase %3"
                     : "=&r"(seen[0]), "=&r"(seen[1])
                     : "r"(other), "r"(fs)
                     : "memory");
    CHECK(seen[0] == 4444 && seen[1] == (uint64_t)other && other[5] == 7 && mine == 5);
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x8000000000000000) == -1 && errno == EPERM);
    CHECK(syscall(SYS_arch_prctl, 0x9999, 0) == -1 && errno == EINVAL);
    for (int i = 0; i < 1000; i++) getppid();
    CHECK(_readgsbase_u64() == (uint64_t)(block + 2));
    _writegsbase_u64(0);
    mine++;
    return argument;
}

int main(void) {
    pthread_t threads[3];
    body(NULL);
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(mine == 6);
    return SUCCESS();
}
