// build: cc -g -O2 -pthread {src} -o {out} -ldl
// build static-pie: cc -g -O2 -pthread -static-pie -DSTATIC {src} -o {out}
// also: cc -g -O2 -shared -fPIC -DLIBRARY=3 {src} -o {out}.1.so
// also: cc -g -O2 -shared -fPIC -DLIBRARY=5 {src} -o {out}.2.so
// args: 1 1
// timeout: 120
// All at once in one process: threads that allocate and pass blocks on, timers and storms of signals with handlers that
// return or jump out, children that exit, die or execute, libraries that come and go, code that changes, faults, threads
// that begin and end, system calls that are interrupted. `mix SEED SCALE`: what it prints depends on these two alone.
// The soak compares `leaked BYTES BLOCKS` with what vg-leaks says of `leak_one`.
#define _GNU_SOURCE
#include "../guest.h"
#ifdef LIBRARY
static char *kept;
static void __attribute__((constructor)) begin(void) { kept = malloc(100 * LIBRARY); }
static void __attribute__((destructor)) end(void) { free(kept); }
unsigned long work(unsigned long x) {
    memset(kept, (int)x, 100 * LIBRARY);
    return (unsigned char)kept[99] + x * LIBRARY;
}
#else
#include "../code/jit.h"
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

typedef unsigned long word;
enum { PAGE = 4096, SLOTS = 128, MAILBOXES = 32 };

static word seed, scale;
static char **arguments;
static _Atomic word alarms, ticks, leaked;
// A library is loaded, a thread created or a child forked that will need the loader's locks.
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

// What a handler needs of its thread.
static __thread struct {
    sigjmp_buf back;
    volatile sig_atomic_t armed, jumps;
    char *volatile guard;
    volatile sig_atomic_t jump_on_fault, faults;
    volatile int arrived;
    volatile long values;
    const char *name;
} self;

static word next(word *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}
static word start(word who) {
    word state = (seed * 1000003 + who) * 0x9e3779b97f4a7c15 | 1;
    for (int i = 0; i < 5; i++) next(&state);
    return state;
}

static void __attribute__((noinline)) leak_one(word bytes) {
    char *volatile p = malloc(bytes);
    CHECK(p != NULL);
    p[0] = 1;
    leaked += bytes;
}

// Signals.
static void counts(int signal) {
    int saved = errno;
    getppid();
    errno = ENXIO;
    if (signal == SIGALRM) alarms++;
    else ticks++;
    errno = saved;
}
static void jumps(int signal) {
    (void)signal;
    if (self.armed && self.jumps > 0) {
        self.armed = 0;
        self.jumps--;
        siglongjmp(self.back, 1);
    }
}
// Of real-time signals none is lost and none comes twice (their order: signals/queue_order.c).
static void queued(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    CHECK(info->si_code == SI_QUEUE && info->si_pid == getpid());
    self.arrived++;
    self.values += info->si_value.sival_int;
}
static void faults(int signal, siginfo_t *info, void *context) {
    (void)signal;
    char *at = info->si_addr;
    int expected = self.guard && at >= self.guard && at < self.guard + PAGE;
    if (!expected) {
        const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
        dprintf(1, "fault in %s: address %p, code %d, error %llx, pc %llx, rsp %llx\n", self.name, (void *)at, info->si_code,
                regs[REG_ERR], regs[REG_RIP], regs[REG_RSP]);
    }
    CHECK(expected);
    self.faults++;
    if (self.jump_on_fault) siglongjmp(self.back, 1);
    CHECK(mprotect(self.guard, PAGE, PROT_READ | PROT_WRITE) == 0);
}
static void handle(int signal, void (*plain)(int), void (*full)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_flags = flags | (full ? SA_SIGINFO : 0)};
    // Nobody jumps out of a handler that it did not begin in.
    sigfillset(&action.sa_mask);
    if (full) action.sa_sigaction = full;
    else action.sa_handler = plain;
    CHECK(sigaction(signal, &action, NULL) == 0);
}
static void other_stack(void) {
    stack_t stack = {.ss_size = 65536};
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL) == 0);
}

// Blocks know their size and fill; whoever finds one in a mailbox checks and frees it.
struct block {
    word size;
    unsigned char fill, bytes[];
};
static _Atomic(struct block *) mailboxes[MAILBOXES];

static struct block *filled(struct block *block, word size, unsigned char fill) {
    CHECK(block != NULL);
    block->size = size;
    block->fill = fill;
    memset(block->bytes, fill, size);
    return block;
}
static void drop(struct block *block) {
    if (!block) return;
    for (word i = 0; i < block->size; i += block->size / 16 + 1) CHECK(block->bytes[i] == block->fill);
    if (block->size) CHECK(block->bytes[block->size - 1] == block->fill);
    free(block);
}
static word churn(word *state, word steps, int leaks) {
    struct block *own[SLOTS] = {0};
    word sum = 0;
    for (word i = 0; i < steps; i++) {
        word r = next(state), size = r % 100 == 0 ? r % 300000 : r % 600, slot = r / 64 % SLOTS;
        unsigned char fill = (unsigned char)(r >> 20);
        struct block **at = &own[slot], *old;
        word whole = sizeof(struct block) + size;
        switch (r >> 8 & 7) {
        case 0:
            drop(*at);
            *at = calloc(1, whole);
            CHECK(*at && (*at)->size == 0 && (!size || (*at)->bytes[size - 1] == 0));
            filled(*at, size, fill);
            break;
        case 1:
            if (*at) fill = (*at)->fill;
            word kept = *at && (*at)->size < size ? (*at)->size : *at ? size : 0;
            *at = realloc(*at, whole);
            for (word k = 0; k < kept; k += 97) CHECK((*at)->bytes[k] == fill);
            filled(*at, size, fill);
            break;
        case 2:
            drop(*at);
            CHECK(posix_memalign((void **)at, 16UL << (r >> 30 & 7), whole) == 0);
            CHECK((word)*at % (16UL << (r >> 30 & 7)) == 0);
            filled(*at, size, fill);
            break;
        case 3:
            old = atomic_exchange(&mailboxes[r >> 40 & (MAILBOXES - 1)], *at);
            *at = NULL;
            drop(old);
            break;
        case 4:
            drop(*at);
            *at = NULL;
            break;
        default:
            drop(*at);
            *at = filled(malloc(whole), size, fill);
        }
        sum = sum * 31 + size;
        if (leaks && i % 1000 == 999) leak_one(r % 900 + 1);
    }
    for (int i = 0; i < SLOTS; i++) drop(own[i]);
    return sum;
}
static word allocates(word *state) { return churn(state, 30000 * scale, 1); }

// Pure calculation that a signal may begin again; at most twice a step, so that it gets on.
static word __attribute__((noinline)) pure(word x) {
    double real = 1;
    for (int i = 0; i < 3000; i++) {
        x = x * 6364136223846793005 + 1442695040888963407;
        real = real * 0.999 + (double)(x >> 40);
        if (x >> 63) x ^= x >> 17;
    }
    return x ^ (word)real;
}
static word calculates(word *state) {
    volatile word sum = 0;
    int saves = (int)(next(state) & 1);
    for (volatile word i = 0; i < 4000 * scale; i++) {
        word input = next(state);
        self.jumps = 2;
        // All signals are blocked in the handler: without a saved mask they have to be allowed again by hand.
        if (sigsetjmp(self.back, saves) && !saves) {
            sigset_t set;
            sigfillset(&set);
            CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
        }
        self.armed = 1;
        word result = pure(input);
        self.armed = 0;
        sum = sum * 31 + result;
    }
    return sum;
}

// Two threads change and run functions of the same page; a page of each goes from writable to executable and back.
static unsigned char *shared_code;
static word patches(word *state) {
    static _Atomic int number;
    unsigned char *mine = shared_code + (number++ & 1) * 64;
    unsigned char *toggled = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(toggled != MAP_FAILED);
    word sum = 0;
    for (word i = 0; i < 3000 * scale; i++) {
        word r = next(state);
        unsigned char *at = mine + r % 20 * 128;
        emit(at, (uint32_t)r);
        CHECK(call(at) == (int)(uint32_t)r);
        if (r >> 32 & 1) {
            CHECK(mprotect(toggled, PAGE, PROT_READ | PROT_WRITE) == 0);
            emit(toggled + (r & 1023), (uint32_t)(r >> 8));
            CHECK(mprotect(toggled, PAGE, PROT_READ | PROT_EXEC) == 0);
            CHECK(call(toggled + (r & 1023)) == (int)(uint32_t)(r >> 8));
        }
        sum = sum * 31 + (r & 0xffffffff);
    }
    CHECK(munmap(toggled, PAGE) == 0);
    return sum;
}

static word faulty(word *state) {
    volatile word sum = 0;
    char *guard = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(guard != MAP_FAILED);
    self.guard = guard;
    for (volatile word i = 0; i < 1500 * scale; i++) {
        word r = next(state), offset = r % PAGE;
        self.jump_on_fault = r >> 20 & 1;
        if (sigsetjmp(self.back, 1) == 0) {
            *(volatile char *)(guard + offset) = (char)r;
            CHECK(!self.jump_on_fault && guard[offset] == (char)r);
            CHECK(mprotect(guard, PAGE, PROT_NONE) == 0);
        } else {
            CHECK(self.jump_on_fault);
        }
        sum = sum * 31 + offset;
    }
    CHECK(self.faults == (int)(1500 * scale));
    self.guard = NULL;
    CHECK(munmap(guard, PAGE) == 0);
    return sum;
}

#ifdef STATIC
static word loads(word *state) { return next(state); }
#else
static word loads(word *state) {
    word sum = 0;
    for (word i = 0; i < 120 * scale; i++) {
        word r = next(state), factor = r & 1 ? 5 : 3;
        char path[4096];
        CHECK(snprintf(path, sizeof path, "%s.%d.so", arguments[0], r & 1 ? 2 : 1) < (int)sizeof path);
        pthread_mutex_lock(&loading);
        void *library = dlopen(path, r & 2 ? RTLD_NOW : RTLD_LAZY);
        pthread_mutex_unlock(&loading);
        CHECK(library != NULL);
        word (*work)(word) = (word (*)(word))dlsym(library, "work");
        for (word k = 0; k < 20; k++) CHECK(work(r + k) == ((r + k) & 255) + (r + k) * factor);
        pthread_mutex_lock(&loading);
        CHECK(dlclose(library) == 0);
        pthread_mutex_unlock(&loading);
        sum = sum * 31 + factor;
    }
    return sum;
}
#endif

// Threads that live shortly, joined or detached, with a destructor of thread-specific data.
static pthread_key_t key;
static _Atomic long detached;
static void *short_life(void *argument) {
    word state = *(word *)argument;
    free(argument);
    CHECK(pthread_setspecific(key, malloc(state % 3000)) == 0);
    word result = churn(&state, 50, 0);
    detached--;
    return (void *)result;
}
static word creates(word *state) {
    word sum = 0;
    // glibc's pthread_detach of a thread that is just ending touches freed memory (its bug 19951).
    pthread_attr_t alone;
    CHECK(pthread_attr_init(&alone) == 0 && pthread_attr_setdetachstate(&alone, PTHREAD_CREATE_DETACHED) == 0);
    for (word i = 0; i < 60 * scale; i++) {
        pthread_t threads[4];
        int joined[4];
        for (int k = 0; k < 4; k++) {
            word *argument = malloc(sizeof *argument);
            *argument = next(state) | 1;
            joined[k] = *argument >> 5 & 1;
            detached++;
            pthread_mutex_lock(&loading);
            CHECK(pthread_create(&threads[k], joined[k] ? NULL : &alone, short_life, argument) == 0);
            pthread_mutex_unlock(&loading);
        }
        for (int k = 0; k < 4; k++) {
            void *result = NULL;
            if (joined[k]) CHECK(pthread_join(threads[k], &result) == 0);
            sum = sum * 31 + (word)result;
        }
    }
    while (detached) sched_yield();
    return sum;
}

// Children: leave at once, work, die, jump, start a thread, execute.
static void *in_child(void *argument) {
    word state = (word)argument | 1;
    churn(&state, 200, 0);
    return argument;
}
static void child(word r) {
    // The storm and the timers stay with the parent.
    int code = (int)(r & 63);
    word state = r | 1;
    void *result;
    pthread_t thread;
    switch (r >> 8 & 7) {
    case 0: _exit(code);
    case 1: churn(&state, 500, 0); _exit(code);
    case 2: signal(SIGTERM, SIG_DFL); raise(SIGTERM); abort();
    case 3:
        self.jumps = 1;
        if (sigsetjmp(self.back, 1) == 0) {
            self.armed = 1;
            raise(SIGUSR2);
            abort();
        }
        _exit(code);
    case 4:
        CHECK(pthread_create(&thread, NULL, in_child, (void *)r) == 0);
        CHECK(pthread_join(thread, &result) == 0 && result == (void *)r);
        exit(code);
    default: {
        char text[32];
        snprintf(text, sizeof text, "%d", code);
        execl("/proc/self/exe", arguments[0], "child", text, NULL);
        abort();
    }
    }
}
static int waited(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) != pid) CHECK(errno == EINTR);
    return status;
}
static word forks(word *state) {
    word sum = 0;
    for (word i = 0; i < 25 * scale; i++) {
        word r = next(state);
        int code = (int)(r & 63), mode = r >> 8 & 7;
        pid_t pid;
        if (mode == 7) {
            char text[32], *argv[] = {arguments[0], "child", text, NULL};
            snprintf(text, sizeof text, "%d", code);
            CHECK(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, NULL) == 0);
        } else {
            pthread_mutex_lock(&loading);
            pid = fork();
            if (pid == 0) child(r);
            pthread_mutex_unlock(&loading);
            CHECK(pid > 0);
        }
        int status = waited(pid);
        if (mode == 2) CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        else CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code);
        sum = sum * 31 + (word)status;
    }
    return sum;
}

// Bytes through a pipe; system calls are interrupted and restarted all the time.
static int ends[2];
static word writes(word *state) {
    word sum = 0;
    for (word i = 0; i < 1500 * scale; i++) {
        word r = next(state);
        unsigned char text[200];
        size_t size = r % sizeof text + 1, done = 0;
        memset(text, (int)(i & 255), size);
        while (done < size) {
            ssize_t n = write(ends[1], text + done, size - done);
            CHECK(n > 0 || errno == EINTR);
            if (n > 0) done += (size_t)n;
        }
        sum = sum * 31 + size;
        if (r % 64 == 0) nanosleep(&(struct timespec){.tv_nsec = (long)(r % 300000)}, NULL);
    }
    CHECK(close(ends[1]) == 0);
    return sum;
}
static word reads(word *state) {
    word total = 0;
    unsigned char text[333], last = 0;
    for (;;) {
        struct pollfd wanted = {.fd = ends[0], .events = POLLIN};
        int ready = poll(&wanted, 1, (int)(next(state) % 3));
        CHECK(ready >= 0 || errno == EINTR);
        if (ready <= 0) continue;
        ssize_t n = read(ends[0], text, sizeof text);
        CHECK(n >= 0 || errno == EINTR);
        if (n == 0) return total;
        for (ssize_t i = 0; i < n; i++) {
            CHECK(text[i] == last || text[i] == (unsigned char)(last + 1));
            last = text[i];
        }
        if (n > 0) total += (word)n;
    }
}

// The actors.
static const struct {
    const char *name;
    word (*body)(word *);
} actors[] = {
    {"allocates", allocates}, {"allocates", allocates}, {"calculates", calculates}, {"calculates", calculates},
    {"patches", patches},     {"patches", patches},     {"faulty", faulty},         {"loads", loads},
    {"creates", creates},     {"forks", forks},         {"writes", writes},         {"reads", reads},
};
enum { ACTORS = sizeof actors / sizeof *actors };
static pthread_t threads[ACTORS];
static word results[ACTORS];
static _Atomic int busy = ACTORS, calm, sent[ACTORS];
static pthread_barrier_t begun;

static void *act(void *argument) {
    word number = (word)argument, state = start(number);
    self.name = actors[number].name;
    if (next(&state) & 1) other_stack();
    pthread_barrier_wait(&begun);
    results[number] = actors[number].body(&state);
    busy--;
    // Signals are sent to threads that exist, and all of them arrive.
    while (!calm) nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    for (int i = 0; i < 10000 && self.arrived != sent[number]; i++) usleep(1000);
    CHECK(self.arrived == sent[number] && self.values == (sent[number] - 1L) * sent[number] / 2);
    return NULL;
}
static void storm(void) {
    word state = start(100);
    while (busy) {
        word r = next(&state), burst = r >> 12 & 7;
        for (word i = 0; i <= burst; i++) {
            word target = next(&state) % ACTORS;
            switch (r >> 8 & 3) {
            case 0: CHECK(pthread_kill(threads[target], SIGUSR1) == 0); break;
            case 1: CHECK(pthread_kill(threads[target], SIGUSR2) == 0); break;
            default: {
                union sigval value = {.sival_int = sent[target]};
                int problem = pthread_sigqueue(threads[target], SIGRTMIN, value);
                CHECK(problem == 0 || problem == EAGAIN);
                if (problem == 0) sent[target]++;
            }
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = (long)(r >> 20) % 400000}, NULL);
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    // Executed by one of the children below.
    if (!strcmp(argv[1], "child")) return atoi(argv[2]);
    arguments = argv;
    seed = strtoul(argv[1], NULL, 0);
    scale = strtoul(argv[2], NULL, 0);
    shared_code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(shared_code != MAP_FAILED && pipe(ends) == 0 && pthread_key_create(&key, free) == 0);
    int onstack = seed & 1 ? SA_ONSTACK : 0;
    handle(SIGALRM, counts, NULL, SA_RESTART | onstack);
    handle(SIGVTALRM, counts, NULL, onstack);
    handle(SIGUSR1, counts, NULL, seed & 2 ? SA_RESTART : 0);
    handle(SIGUSR2, jumps, NULL, onstack);
    handle(SIGRTMIN, NULL, queued, seed & 4 ? SA_RESTART | onstack : onstack);
    handle(SIGSEGV, NULL, faults, SA_ONSTACK);
    CHECK(pthread_barrier_init(&begun, NULL, ACTORS + 1) == 0);
    for (word i = 0; i < ACTORS; i++) {
        pthread_mutex_lock(&loading);
        CHECK(pthread_create(&threads[i], NULL, act, (void *)i) == 0);
        pthread_mutex_unlock(&loading);
    }
    struct itimerval often = {{0, 1000 + (long)(seed % 3000)}, {0, 1000}};
    pthread_barrier_wait(&begun);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0 && setitimer(ITIMER_VIRTUAL, &often, NULL) == 0);
    storm();
    struct itimerval never = {0};
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0 && setitimer(ITIMER_VIRTUAL, &never, NULL) == 0);
    calm = 1;
    for (int i = 0; i < ACTORS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < MAILBOXES; i++) drop(atomic_exchange(&mailboxes[i], NULL));
    CHECK(close(ends[0]) == 0 && munmap(shared_code, PAGE) == 0);
    for (int i = 0; i < ACTORS; i++) printf("%s %lx\n", actors[i].name, results[i]);
    printf("alarms %s\n", alarms && ticks ? "came" : "did not come");
    printf("leaked %lu %lu\n", (word)leaked, 2 * 30 * scale);
    return SUCCESS();
}
#endif
