// build: cc -O1
// build fast: cc -O3
// String instructions, xlat, masked stores and 32-bit addresses behind FS and GS; their faults and interruptions show
// the program's own registers.
#define _GNU_SOURCE
#include "../guest.h"
#include <emmintrin.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

static unsigned char source[4096], target[4096];
static uintptr_t fs;

static void set_gs(uintptr_t base) { CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, base) == 0); }

// `instruction` with rsi, rdi and rcx; the flags stay as they are behind it.
#define STRING(instruction, si, di, n)                                                                      \
    ({                                                                                                      \
        uint64_t si_ = (uint64_t)(si), di_ = (uint64_t)(di), n_ = (n), a_ = 0, b_ = 0xb0b0b0b0b0b0b0b0;     \
        unsigned char equal_;                                                                               \
        __asm__ volatile(instruction "\n\tsete %5"                                                          \
                         : "+S"(si_), "+D"(di_), "+c"(n_), "+a"(a_), "+b"(b_), "=r"(equal_)                  \
                         :                                                                                  \
                         : "memory", "cc");                                                                 \
        CHECK(b_ == 0xb0b0b0b0b0b0b0b0);                                                                    \
        (struct result){si_, di_, n_, a_, equal_};                                                          \
    })

struct result {
    uint64_t si, di, count, a;
    int equal;
};

static void strings(void) {
    for (int i = 0; i < 4096; i++) source[i] = (unsigned char)(i * 7 + 1);
    uintptr_t base = (uintptr_t)source - 0x1000;
    set_gs(base);
    struct result r = STRING("rep movsb %%gs:(%%rsi), %%es:(%%rdi)", 0x1000, target, 1000);
    CHECK(r.si == 0x1000 + 1000 && r.di == (uintptr_t)target + 1000 && r.count == 0 && !memcmp(source, target, 1000));
    r = STRING("rep movsq %%fs:(%%rsi), %%es:(%%rdi)", (uintptr_t)source - fs, target + 8, 100);
    CHECK(r.si == (uintptr_t)source - fs + 800 && !memcmp(source, target + 8, 800));
    r = STRING("lodsq %%gs:(%%rsi), %%rax", 0x1000 + 8, 0, 5);
    CHECK(r.count == 5 && r.si == 0x1010 && !memcmp(&r.a, source + 8, 8));
    memcpy(target, source, 4096);
    target[700]++;
    r = STRING("repe cmpsb %%es:(%%rdi), %%gs:(%%rsi)", 0x1000, target, 4096);
    CHECK(!r.equal && r.si == 0x1000 + 701 && r.count == 4096 - 701);
    r = STRING("repe cmpsb %%es:(%%rdi), %%gs:(%%rsi)", 0x1000 + 701, target + 701, 3000);
    CHECK(r.equal && r.count == 0);
    r = STRING("std; rep movsw %%gs:(%%rsi), %%es:(%%rdi); cld", 0x1000 + 2000, target + 2000, 500);
    CHECK(r.si == 0x1000 + 1000 && r.di == (uintptr_t)target + 1000);
    CHECK(!memcmp(source + 1002, target + 1002, 1000));
    // Addresses of 32 bits: the upper halves do not count, and are gone afterwards.
    r = STRING("lodsb %%gs:(%%esi), %%al", 0xabcd00001234, 0, 1);
    CHECK((unsigned char)r.a == source[0x234] && r.si == 0x1235);
    r = STRING("rep lodsb %%gs:(%%esi), %%al", 0x1000, 0x1111111122222222, 7);
    CHECK(r.count == 0 && r.si == 0x1007 && r.di == 0x1111111122222222 && (unsigned char)r.a == source[6]);
}

static void operands(void) {
    uint64_t value, garbage = 0xdeadbeef00001000;
    __asm__("movq %%gs:8(%k1), %0" : "=r"(value) : "r"(garbage) : "memory");
    CHECK(!memcmp(&value, source + 8, 8));
    __asm__("movq %%gs:16(%k1,%k2,4), %0" : "=r"(value) : "r"(0x7700000000000800), "r"(0x5500000000000200) : "memory");
    CHECK(!memcmp(&value, source + 16, 8));
    // base + index carry into bit 32.
    __asm__("movq %%gs:(%k1,%k2), %0" : "=r"(value) : "r"(0xfffff000ull), "r"(0x2000ull) : "memory");
    CHECK(!memcmp(&value, source, 8));
    __asm__("addq $5, %%gs:(%k0)" ::"r"(garbage + 24) : "memory", "cc");
    memcpy(&value, source + 24, 8);
    uint64_t was;
    memcpy(&was, target + 24, 8);
    CHECK(value == was + 5);
    unsigned char byte;
    __asm__(".byte 0x65; xlatb" : "=a"(byte) : "a"(77), "b"(0x1000ull) : "memory");
    CHECK(byte == source[77]);
    __asm__(".byte 0x65, 0x67; xlatb" : "=a"(byte) : "a"(200), "b"(0x9999000000001000ull) : "memory");
    CHECK(byte == source[200]);
    __m128i mask = _mm_set1_epi16(0x0080), data = _mm_set1_epi8(0x5a);
    __asm__(".byte 0x65; maskmovdqu %1, %0" ::"x"(data), "x"(mask), "D"(0x1000ull + 64) : "memory");
    for (int i = 64; i < 80; i++) CHECK(source[i] == (i % 2 ? target[i] : 0x5a));
    // A call through a pointer at such an address.
    void (*function)(void) = operands;
    memcpy(source + 96, &function, 8);
    __asm__("movq %%gs:(%k1), %0" : "=r"(function) : "r"(0x1000ull + 96) : "memory");
    CHECK(function == operands);
    extern void landed(void);
    void (*there)(void) = landed;
    memcpy(source + 104, &there, 8);
    uint64_t came = 0;
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
                     "call *%%gs:(%k1)\n\t"
                     "lea 128(%%rsp), %%rsp\n\t"
                     "jmp 1f\n\t"
                     ".globl landed\n"
                     "landed: mov $42, %0\n\t"
                     "ret\n"
                     "1:"
                     : "+r"(came)
                     : "r"(0x1000ull + 104)
                     : "memory", "cc");
    CHECK(came == 42);
}

static volatile sig_atomic_t faults;
static uint64_t seen_si, seen_di, seen_count, seen_b, seen_address;

static void on_fault(int signal, siginfo_t *info, void *context) {
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    seen_si = (uint64_t)regs[REG_RSI];
    seen_di = (uint64_t)regs[REG_RDI];
    seen_count = (uint64_t)regs[REG_RCX];
    seen_b = (uint64_t)regs[REG_RBX];
    seen_address = (uint64_t)info->si_addr;
    faults += signal == SIGSEGV;
    mprotect((void *)(seen_address & ~4095ull), 4096, PROT_READ | PROT_WRITE);
}

static void fault(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    unsigned char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    memset(pages, 3, 8192);
    mprotect(pages + 4096, 4096, PROT_NONE);
    set_gs((uintptr_t)pages - 0x100);
    struct result r = STRING("rep movsb %%gs:(%%rsi), %%es:(%%rdi)", 0x100 + 4000, target, 1000);
    CHECK(faults == 1 && r.count == 0 && r.si == 0x100 + 5000 && target[999] == 3);
    CHECK(seen_si == 0x100 + 4096 && seen_di == (uintptr_t)target + 96 && seen_count == 904);
    CHECK(seen_b == 0xb0b0b0b0b0b0b0b0 && seen_address == (uintptr_t)pages + 4096);
    mprotect(pages + 4096, 4096, PROT_NONE);
    uint64_t value;
    __asm__ volatile("movq %%gs:(%k1), %0" : "=r"(value) : "S"(0x100 + 4096) : "memory");
    CHECK(faults == 2 && value == 0x0303030303030303 && seen_si == 0x100 + 4096);
}

static volatile sig_atomic_t ticks;
static uint64_t low, high;

static void on_tick(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t si = (uint64_t)regs[REG_RSI], count = (uint64_t)regs[REG_RCX];
    // In the copying loop the two always belong together.
    if ((uint64_t)regs[REG_RBX] == 0xb1b1b1b1b1b1b1b1) CHECK(si >= low && si <= high && si + count == high);
    ticks++;
}

static void interrupted(void) {
    size_t size = 1 << 20;
    unsigned char *from = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(from != MAP_FAILED);
    for (size_t i = 0; i < size; i++) from[i] = (unsigned char)(i * 31 >> 3);
    set_gs((uintptr_t)from - 0x5000);
    low = 0x5000;
    high = low + size;
    struct sigaction action = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval timer = {{0, 500}, {0, 500}};
    setitimer(ITIMER_REAL, &timer, NULL);
    while (ticks < 100) {
        memset(from + size, 0, size);
        uint64_t si = low, di = (uint64_t)(from + size), n = size;
        __asm__ volatile("mov $0xb1b1b1b1b1b1b1b1, %%rbx\n\trep movsb %%gs:(%%rsi), %%es:(%%rdi)\n\tmov $0, %%ebx"
                         : "+S"(si), "+D"(di), "+c"(n)::"rbx", "memory", "cc");
        CHECK(si == high && n == 0 && !memcmp(from, from + size, size));
    }
    memset(&timer, 0, sizeof timer);
    setitimer(ITIMER_REAL, &timer, NULL);
}

int main(void) {
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0);
    strings();
    operands();
    fault();
    interrupted();
    return SUCCESS();
}
