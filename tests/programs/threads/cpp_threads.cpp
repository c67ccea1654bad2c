// build: c++ -O2 -pthread -std=c++17
// build clang: clang++ -O2 -pthread -std=c++17
// build static: c++ -O2 -pthread -std=c++17 -static
// The thread library of C++: async, promises, exceptions between threads, thread-local destructors, call_once.
#include "../guest.h"
#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static std::atomic<int> destroyed, constructed;
struct Local {
    std::string text = "thread-local";
    Local() { constructed++; }
    ~Local() { destroyed++; }
};
static thread_local Local local;

static long fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

int main() {
    std::vector<std::future<long>> results;
    for (int i = 0; i < 8; i++)
        results.push_back(std::async(std::launch::async, [i] { return fib(15 + i) + static_cast<long>(local.text.size()); }));
    long sum = 0;
    for (auto &result : results) sum += result.get();
    std::printf("%ld\n", sum);
    auto failing = std::async(std::launch::async, []() -> int { throw std::runtime_error("from a thread"); });
    try {
        failing.get();
    } catch (const std::exception &error) {
        std::puts(error.what());
    }
    std::once_flag once;
    std::shared_mutex lock;
    std::condition_variable_any condition;
    int calls = 0, turn = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; i++)
        threads.emplace_back([&, i] {
            std::call_once(once, [&] { calls++; });
            std::unique_lock guard(lock);
            condition.wait(guard, [&] { return turn == i; });
            turn++;
            condition.notify_all();
        });
    for (auto &thread : threads) thread.join();
    std::printf("%d %d %d %d\n", calls, turn, constructed.load(), destroyed.load());
    return SUCCESS();
}
