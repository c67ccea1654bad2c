// build: c++ -g -O0 -std=c++17 -pthread
// Objects with static, function-local and thread-local lifetime are destroyed; raw pointers in them are roots.
#include "../guest.h"
#include <string>
#include <vector>

static std::string freed_at_exit(200, 's');
static thread_local std::vector<int> freed_with_thread(100);

struct Holder {
    int *value;
    Holder() : value(new int[4]) {} //~ reachable 16 1
};

static Holder &holder() {
    static Holder instance;
    return instance;
}

int main() {
    holder().value[0] = 3;
    freed_with_thread[5] = 1;
    CHECK(freed_at_exit.size() == 200);
    scrub();
    return SUCCESS();
}
