// build: c++ -g -O0 -pthread
// build O2: c++ -g -O2 -pthread
// build clang: clang++ -g -O1 -pthread
// A task of another thread holds a pointer to what its maker has deleted meanwhile.
#include "../guest.h"
#include <atomic>
#include <future>
#include <thread>

struct job {
    volatile long input = 20, output = 0;
};
static std::atomic<bool> deleted;

static void __attribute__((noinline)) run(job *one) {
    while (!deleted) std::this_thread::yield();
    long input = one->input; //~ InvalidRead 8
    one->output = input + 1; //~ InvalidWrite 8
}

int main() {
    job *one = new job;
    std::thread thread(run, one);
    delete one;
    deleted = true;
    thread.join();
    auto sum = std::async(std::launch::async, [] { return 3 + 4; });
    CHECK(sum.get() == 7);
    return SUCCESS();
}
