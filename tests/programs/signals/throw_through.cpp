// build: c++ -O2 -fnon-call-exceptions -fasynchronous-unwind-tables
// build debug: c++ -O0 -fnon-call-exceptions -fasynchronous-unwind-tables
// Exceptions thrown by a signal handler through its frame into the code that faulted; stack traces from there.
#include "../guest.h"
#include <csignal>
#include <execinfo.h>
#include <stdexcept>
#include <unwind.h>

static volatile int frames, signal_frames;

static _Unwind_Reason_Code visit(_Unwind_Context *context, void *) {
    int before = 0;
    _Unwind_GetIPInfo(context, &before);
    frames = frames + 1;
    signal_frames = signal_frames + (before != 0);
    return _URC_NO_REASON;
}

static void handler(int number) {
    frames = 0;
    signal_frames = 0;
    _Unwind_Backtrace(visit, nullptr);
    void *addresses[50];
    CHECK(backtrace(addresses, 50) >= 5);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    throw std::runtime_error(number == SIGSEGV ? "segmentation" : "division");
}

struct Guard {
    int &count;
    ~Guard() { count++; }
};

static int __attribute__((noinline)) fault(volatile int *pointer, volatile int divisor, int &unwound) {
    Guard guard{unwound};
    return divisor ? *pointer / divisor : 10 / divisor;
}

static int __attribute__((noinline)) deep(int depth, volatile int *pointer, int divisor, int &unwound) {
    Guard guard{unwound};
    return depth ? deep(depth - 1, pointer, divisor, unwound) + 1 : fault(pointer, divisor, unwound);
}

int main() {
    signal(SIGSEGV, handler);
    signal(SIGFPE, handler);
    int unwound = 0, caught = 0;
    for (int i = 0; i < 200; i++) {
        try {
            deep(50, nullptr, i % 2, unwound);
        } catch (const std::runtime_error &error) {
            caught += error.what()[0] == (i % 2 ? 's' : 'd');
            CHECK(frames >= 4 && signal_frames >= 1);
        }
    }
    std::printf("%d %d\n", caught, unwound);
    return SUCCESS();
}
